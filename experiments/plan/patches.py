"""Patches: a run's are those of the weights it starts from, and its inputs divide into them."""

from experiments.plan.errors import UsageError
from experiments.plan.suite import SCRATCH, SuiteRun
from multimae.tables.modalities import modality


def check_patches(run: SuiteRun, *, scope: str) -> None:
    """Raise UsageError unless a run's model can be built and loaded with its patches; `scope`: its recipe's name."""
    size, start, setting = run.patch_size, run.start_patch_size, f"--set {scope}.patch_size"
    if not size:
        assert run.weights is not None
        raise UsageError(
            f"{run.name}: the patch size of {run.weights.path} cannot be told without loading it; give its number: "
            f"{setting}=16"
        )
    if run.checkpoint != SCRATCH and start and size != start:
        raise UsageError(
            f"{run.name}: {run.checkpoint} has patches of {start} pixels, the recipe's have {size}; {setting}=0 "
            "follows the checkpoint"
        )
    for name in (*run.inputs, *run.outputs):
        reduction = modality(name).stride_level
        if size % reduction:
            raise UsageError(
                f"{run.name}: {name} has 1/{reduction} of the resolution, and patches of {size} pixels do not divide "
                f"by {reduction}; leave it out, or start from weights with other patches"
            )
    lower = run.recipe.input_size // size * size
    if not lower or lower != run.recipe.input_size:
        nearest = " or ".join(f"--set {scope}.input_size={side}" for side in (lower, lower + size) if side)
        raise UsageError(
            f"{run.name}: input_size {run.recipe.input_size} does not divide into patches of {size} pixels; "
            f"{nearest} does"
        )

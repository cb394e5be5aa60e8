"""What a job would find out hours later, found out while planning: settings that cannot be carried out together."""

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.kind import Config
from experiments.plan.errors import UsageError
from experiments.plan.images import check_images
from experiments.plan.planning import PlannedRun, kind_of
from experiments.plan.render import Keep, learning_rate, render
from experiments.plan.render_data import micro_batch_size
from multimae.tables.sizes import SIZES


def check_plan(plan: Iterable[PlannedRun], *, devices: int = 1, keep: Keep = "weights") -> None:
    """Raise an error a user can act on for the first run that could not be trained; nothing is written."""
    for planned in plan:
        check_images(planned.run, data=planned.data)
        try:
            config = render(planned, keep=keep)
        except ValueError as error:
            raise UsageError(f"{planned.run.name}: {error}") from error
        for said in _wrong(planned, config=config, devices=devices):
            raise UsageError(f"{planned.run.name} ({planned.run.profile} recipe of {planned.run.task.name}): {said}")


def _wrong(planned: PlannedRun, *, config: Config, devices: int) -> Iterator[str]:
    """Yield what is wrong with a run's recipe beside its inputs, its model and its devices."""
    run, recipe = planned.run, planned.run.recipe
    patch_size = _find(config["model"], "patch_size")
    if patch_size and run.task.kind == "pretraining":
        yield from _wrong_masks(recipe, num_inputs=len(run.inputs), patches=(recipe.input_size // patch_size) ** 2)
    if recipe.min_lr > learning_rate(recipe):
        yield f"min_lr is {recipe.min_lr}, wanted at most the learning rate, which is {learning_rate(recipe):g}"
    tuned, depth = config["model"].get("num_tuned_blocks"), SIZES[run.size].depth
    if tuned is not None and tuned > depth:
        yield f"num_tuned_blocks is {tuned}, wanted at most the {depth} blocks of size {run.size!r}"
    held = micro_batch_size(recipe)
    if kind_of(run).fit(recipe) != "neighbours" and held % devices:
        field = "micro_batch_size" if recipe.micro_batch_size else "batch_size"
        yield f"{field} is {held}, wanted a multiple of --devices, which is {devices}"


def _wrong_masks(recipe: Any, *, num_inputs: int, patches: int) -> Iterator[str]:
    if recipe.num_visible_tokens > num_inputs * patches:
        yield (
            f"num_visible_tokens is {recipe.num_visible_tokens}, wanted at most {num_inputs * patches}: {patches} "
            f"patches of {num_inputs} inputs; lower it or raise input_size"
        )
    if len(recipe.alphas) not in (1, num_inputs):
        yield f"alphas are {len(recipe.alphas)}, wanted one, or one for each of the {num_inputs} inputs"


def _find(config: Config, name: str) -> Any:
    """Return the first value of that name in a config, at any depth; None where it has none."""
    if name in config:
        return config[name]
    inner = (_find(value, name) for value in config.values() if isinstance(value, dict))
    return next((found for found in inner if found is not None), None)

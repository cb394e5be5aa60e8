"""How many images a run trains on, is validated on and is tested on; and runs for which a part would be empty."""

from dataclasses import dataclass

from experiments.plan.errors import PreconditionError
from experiments.plan.planning import Data
from experiments.plan.suite import SuiteRun
from multimae.data.parts import num_held_out, num_of_few


@dataclass(frozen=True, kw_only=True)
class Images:
    """The parts of a data set as one run uses them; `val` 0 where nothing is held out."""

    train: int
    val: int
    test: int


def images_of(run: SuiteRun, *, data: Data) -> Images:
    """Count the images of a run's parts; a share of every class alike may be a few more or less."""
    recipe = run.recipe
    held_out = data.num_val or num_held_out(data.num_train, val_ratio=recipe.val_ratio)
    kept = data.num_train if data.num_val else data.num_train - held_out
    train = kept if recipe.train_ratio == 1 else num_of_few(kept, ratio=recipe.train_ratio)
    return Images(
        train=min(train, recipe.num_train_images or train),
        val=min(held_out, recipe.num_val_images or held_out),
        test=data.num_test,
    )


def check_images(run: SuiteRun, *, data: Data) -> None:
    """Raise PreconditionError where a run has no image to train on, to hold out as asked, or to be tested on."""
    parts, asked = images_of(run, data=data), run.recipe.val_ratio
    if not parts.train:
        raise PreconditionError(f"{run.name}: {data.root} has no image to train on")
    if asked and not parts.val:
        raise PreconditionError(
            f"{run.name}: val_ratio is {asked}, but {data.root} has {data.num_train} training image and cannot spare "
            "one; add images, or --set recipe.val_ratio=0"
        )
    if not parts.test:
        raise PreconditionError(f"{run.name}: {data.root} has no image to test on")

"""Every transfer once, in minutes: a pre-training of one epoch, then one step of each transfer."""

from dataclasses import replace

from benchmarks.recipes import Recipe
from benchmarks.task import Profile, Task
from experiments.plan.suite import Pretraining, Suite, Transfer
from experiments.suites.transfer import SUITE as TRANSFER


def one_epoch(task: Task) -> Task:
    """Return the task with recipes cut to one epoch."""
    return task.variant(task.name, epochs=1, warmup_epochs=0, num_evaluations=1)


def one_step(task: Task) -> Task:
    """Return the task with recipes cut to one epoch of one batch."""
    recipes: dict[Profile, Recipe] = {
        profile: replace(recipe, num_train_images=recipe.batch_size)
        for profile, recipe in one_epoch(task).recipes.items()
    }
    return replace(task, recipes=recipes)


SUITE = Suite(
    name="smoke",
    title="Smoke test",
    dataset=TRANSFER.dataset,
    pretrainings=tuple(
        Pretraining(name=part.name, task=one_epoch(part.task), inputs=part.inputs) for part in TRANSFER.pretrainings
    ),
    transfers=tuple(
        Transfer(task=one_step(part.task), inputs=part.inputs, dataset=part.dataset) for part in TRANSFER.transfers
    ),
    checkpoints=("pretrain",),
    seeds=(0,),
)

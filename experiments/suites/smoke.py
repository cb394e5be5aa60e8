"""Every part of a sweep once, in a minute: one short pre-training, one transfer of each kind, one seed."""

from dataclasses import replace
from types import MappingProxyType

from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from benchmarks.task import Task
from experiments.suite import Pretraining, Suite, Transfer


def short(task: Task) -> Task:
    """Return the task with recipes cut to one epoch."""
    recipes = {
        profile: replace(recipe, epochs=1, warmup_epochs=0, num_evaluations=1)
        for profile, recipe in task.recipes.items()
    }
    return replace(task, recipes=MappingProxyType(recipes))


SUITE = Suite(
    name="smoke",
    title="Smoke test",
    dataset="nyuv2",
    pretrainings=(Pretraining(task=short(PRETRAINING), inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=short(SEMSEG), inputs=("rgb", "depth")),
        Transfer(task=short(DEPTH), inputs=("rgb",)),
    ),
    checkpoints=("pretrain",),
    seeds=(0,),
    sizes={"cpu": "tiny", "paper": "base"},
)

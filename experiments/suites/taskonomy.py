"""Taskonomy: eight domains predicted from RGB; the pre-training reads RGB and normals, which Taskonomy has exactly."""

from benchmarks.taskonomy import PRETRAINING, TASKS
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="taskonomy",
    title="Taskonomy transfers",
    dataset="taskonomy",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "normal")),),
    transfers=tuple(Transfer(task=task, inputs=("rgb",)) for task in TASKS),
    published=("multimae-b-1600e", "mae-b-1600e", SCRATCH),
)

"""Hypersim: segmentation from RGB, from depth and from both."""

from benchmarks.hypersim import PRETRAINING, SEMSEG
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="hypersim",
    title="Hypersim transfers",
    dataset="hypersim",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=SEMSEG, inputs=("rgb",)),
        Transfer(task=SEMSEG, inputs=("depth",)),
        Transfer(task=SEMSEG, inputs=("rgb", "depth")),
    ),
    published=("multimae-b-1600e", "mae-b-1600e", SCRATCH),
)

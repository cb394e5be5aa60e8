"""ADE20K: segmentation into 150 classes from RGB; the pre-training reads RGB and labels, as ADE20K has no depth."""

from benchmarks.ade20k import PRETRAINING, SEMSEG
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="ade20k",
    title="ADE20K transfers",
    dataset="ade20k",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "semseg")),),
    transfers=(Transfer(task=SEMSEG, inputs=("rgb",)),),
    published=("multimae-b-1600e", "mae-b-1600e", SCRATCH),
)

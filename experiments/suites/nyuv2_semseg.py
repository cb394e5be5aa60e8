"""NYUv2, all of its segmentation: into 40 and 13 classes, also from labels of a network trained on COCO.

The pre-training reads what can be had without annotations: RGB, depth and those labels (`multimae data pseudo-label`).
"""

from benchmarks.nyuv2 import PRETRAINING, SEMSEG, SEMSEG_13, SEMSEG_PSEUDO
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="nyuv2-semseg",
    title="NYUv2 segmentation",
    dataset="nyuv2",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "pseudo_semseg")),),
    transfers=(
        Transfer(task=SEMSEG, inputs=("rgb",)),
        Transfer(task=SEMSEG, inputs=("depth",)),
        Transfer(task=SEMSEG, inputs=("rgb", "depth")),
        Transfer(task=SEMSEG_PSEUDO, inputs=("rgb", "pseudo_semseg")),
        Transfer(task=SEMSEG_PSEUDO, inputs=("rgb", "depth", "pseudo_semseg")),
        Transfer(task=SEMSEG_13, inputs=("rgb",), dataset="nyuv2_13"),
        Transfer(task=SEMSEG_13, inputs=("depth",), dataset="nyuv2_13"),
        Transfer(task=SEMSEG_13, inputs=("rgb", "depth"), dataset="nyuv2_13"),
    ),
    published=("multimae-b-1600e", SCRATCH),
)

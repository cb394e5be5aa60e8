"""NYUv2: does masked multi-modal pre-training help, and does depth?

One pre-training on RGB, depth and semantic labels of the training split; then segmentation from RGB, from depth and
from both, and depth from RGB, each from that pre-training and from scratch.
"""

from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from experiments.plan.suite import Pretraining, Suite, Transfer

SUITE = Suite(
    name="nyuv2",
    title="NYUv2 transfers",
    dataset="nyuv2",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=SEMSEG, inputs=("rgb",)),
        Transfer(task=SEMSEG, inputs=("depth",)),
        Transfer(task=SEMSEG, inputs=("rgb", "depth")),
        Transfer(task=DEPTH, inputs=("rgb",)),
    ),
)

"""The paper's pre-trainings: RGB, depth and semantic labels of ImageNet-1K, for 1600 and for 400 epochs.

On another data set: --dataset nyuv2 --data-root DIR; without a data root, on the embedded rooms. What comes out is
measured by other suites: --suite nyuv2 --checkpoints mine=runs/pretrain/KEY/checkpoints/last.pth,scratch.
"""

from benchmarks.imagenet import PRETRAINING, PRETRAINING_400
from experiments.plan.suite import Pretraining, Suite

INPUTS = ("rgb", "depth", "semseg")

SUITE = Suite(
    name="pretrain",
    title="Pre-training",
    dataset="imagenet",
    pretrainings=(
        Pretraining(name="1600e", task=PRETRAINING, inputs=INPUTS),
        Pretraining(name="400e", task=PRETRAINING_400, inputs=INPUTS),
    ),
    transfers=(),
    checkpoints=("1600e", "400e"),
)

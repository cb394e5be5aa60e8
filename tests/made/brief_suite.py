"""A suite for tests of the sweep: one short pre-training, one transfer of each of two kinds, one seed."""

from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from experiments.plan.suite import Pretraining, Suite, Transfer
from experiments.suites.smoke import one_epoch

SUITE = Suite(
    name="brief",
    title="Brief",
    dataset="nyuv2",
    pretrainings=(Pretraining(task=one_epoch(PRETRAINING), inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=one_epoch(SEMSEG), inputs=("rgb", "depth")),
        Transfer(task=one_epoch(DEPTH), inputs=("rgb",)),
    ),
    checkpoints=("pretrain",),
    seeds=(0,),
    sizes={"cpu": "tiny", "paper": "base"},
)

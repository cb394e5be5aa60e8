"""All transfers from one pre-training on ImageNet-1K: the paper's, and NYUv2 with 13 classes and with predicted labels.

With a data root, every data set lies in its own folder there: imagenet, ade20k, hypersim, nyuv2, taskonomy.
"""

from benchmarks import ade20k, hypersim, imagenet, nyuv2, taskonomy
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="transfer",
    title="All transfers",
    dataset="imagenet",
    pretrainings=(Pretraining(task=imagenet.PRETRAINING, inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=imagenet.CLASSIFICATION, inputs=("rgb",)),
        Transfer(task=imagenet.LINEAR, inputs=("rgb",)),
        Transfer(task=imagenet.KNN, inputs=("rgb",)),
        Transfer(task=ade20k.SEMSEG, inputs=("rgb",), dataset="ade20k"),
        Transfer(task=hypersim.SEMSEG, inputs=("rgb",), dataset="hypersim"),
        Transfer(task=hypersim.SEMSEG, inputs=("depth",), dataset="hypersim"),
        Transfer(task=hypersim.SEMSEG, inputs=("rgb", "depth"), dataset="hypersim"),
        Transfer(task=nyuv2.SEMSEG, inputs=("rgb",), dataset="nyuv2"),
        Transfer(task=nyuv2.SEMSEG, inputs=("depth",), dataset="nyuv2"),
        Transfer(task=nyuv2.SEMSEG, inputs=("rgb", "depth"), dataset="nyuv2"),
        Transfer(task=nyuv2.SEMSEG_PSEUDO, inputs=("rgb", "depth", "pseudo_semseg"), dataset="nyuv2"),
        Transfer(task=nyuv2.SEMSEG_13, inputs=("rgb", "depth"), dataset="nyuv2_13"),
        Transfer(task=nyuv2.DEPTH, inputs=("rgb",), dataset="nyuv2"),
        *(Transfer(task=task, inputs=("rgb",), dataset="taskonomy") for task in taskonomy.TASKS),
    ),
    published=("multimae-b-1600e", "mae-b-1600e", SCRATCH),
)

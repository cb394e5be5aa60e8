"""ImageNet-1K: classification by fine-tuning, a linear probe and nearest neighbours.

From a multi-modal pre-training, from one on RGB alone (MAE with this decoder), and from scratch. Images without pseudo
labels: --checkpoints rgb,scratch.
"""

from benchmarks.imagenet import CLASSIFICATION, KNN, LINEAR, PRETRAINING
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

SUITE = Suite(
    name="imagenet",
    title="ImageNet-1K transfers",
    dataset="imagenet",
    pretrainings=(
        Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "semseg")),
        Pretraining(name="rgb", task=PRETRAINING.variant("imagenet-rgb-1600e-pretrain"), inputs=("rgb",)),
    ),
    transfers=(
        Transfer(task=CLASSIFICATION, inputs=("rgb",)),
        Transfer(task=LINEAR, inputs=("rgb",)),
        Transfer(task=KNN, inputs=("rgb",)),
    ),
    checkpoints=("pretrain", "rgb", SCRATCH),
    published=("multimae-b-1600e", "mae-b-1600e", SCRATCH),
)

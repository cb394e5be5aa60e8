"""Ways to measure a pre-training: full and partial fine-tuning, frozen, linear probe, nearest neighbours, few labels.

On the rooms, whose frames have a kind of room to classify as well, from RGB, from depth and from both.
"""

from benchmarks.imagenet import CLASSIFICATION
from benchmarks.nyuv2 import PRETRAINING, SEMSEG
from experiments.plan.suite import Pretraining, Suite, Transfer

CLS = CLASSIFICATION.variant("rooms-cls")

SUITE = Suite(
    name="probes",
    title="Probes of a pre-training",
    dataset="rooms",
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "semseg")),),
    transfers=(
        Transfer(task=SEMSEG, inputs=("rgb",)),
        Transfer(task=SEMSEG.variant("rooms-semseg-partial", tuning="partial", num_tuned_blocks=2), inputs=("rgb",)),
        Transfer(task=SEMSEG.variant("rooms-semseg-frozen", tuning="frozen"), inputs=("rgb",)),
        Transfer(task=SEMSEG.variant("rooms-semseg-linear", tuning="linear"), inputs=("rgb",)),
        Transfer(task=SEMSEG.variant("rooms-semseg-knn", tuning="knn"), inputs=("rgb",)),
        Transfer(task=SEMSEG.variant("rooms-semseg-few", train_ratio=0.1, epochs=50, warmup_epochs=5), inputs=("rgb",)),
        Transfer(task=CLS, inputs=("rgb",)),
        Transfer(task=CLS, inputs=("depth",)),
        Transfer(task=CLS, inputs=("rgb", "depth")),
        Transfer(task=CLS.variant("rooms-cls-linear", tuning="linear", lr=1e-2, weight_decay=0.0), inputs=("rgb",)),
        Transfer(task=CLS.variant("rooms-cls-knn", tuning="knn"), inputs=("rgb",)),
    ),
)

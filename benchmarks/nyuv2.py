"""What is measured on NYUv2 (Silberman et al., ECCV 2012): pre-training losses, segmentation, depth.

The `paper` recipes are the reference's configurations (ft_nyu_200e, ft_nyu_2000e).
"""

from benchmarks import short
from benchmarks.kinds.pretraining import PretrainingRecipe
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task

PRETRAINING = Task(
    name="nyuv2-pretrain",
    kind="pretraining",
    protocols=("masked",),
    primary=Primary(metric="loss_depth", protocol="masked"),
    recipes={
        "cpu": short.PRETRAINING,
        # The reference pre-trains on ImageNet-1K with 2048 samples a step; NYUv2 has 795, hence the smaller batch
        # under the same learning rate per 256 samples.
        "paper": PretrainingRecipe(
            epochs=1600,
            warmup_epochs=40,
            batch_size=256,
            loss_average="micro_batch",
            base_lr=1e-4,
            beta2=0.95,
            input_size=224,
            precision="fp16",
            num_workers=8,
        ),
    },
)

SEMSEG = Task(
    name="nyuv2-semseg",
    kind="semseg",
    head="convnext",
    loss="cross_entropy",
    protocols=("standard", "paper"),
    primary=Primary(metric="miou", protocol="standard"),
    recipes={
        "cpu": short.SEMSEG,
        "paper": TransferRecipe(
            epochs=200,
            warmup_epochs=1,
            batch_size=8,
            micro_batch_size=8,
            loss_average="micro_batch",
            lr=1e-4,
            decayed_embeddings="parity",
            input_size=640,
            precision="fp16",
            num_evaluations=10,
            num_workers=16,
        ),
    },
)

SEMSEG_13 = SEMSEG.variant("nyuv2-semseg-13")
"""Segmentation into the 13 coarser classes: a transfer of the data set `nyuv2_13`, by the recipe for 40."""

SEMSEG_PSEUDO = SEMSEG.variant("nyuv2-semseg-pseudo", new_modalities=("pseudo_semseg",))
"""Segmentation that reads a network's labels, too: their adapter starts fresh where a checkpoint's are not COCO's."""

DEPTH = Task(
    name="nyuv2-depth",
    kind="depth",
    head="dpt",
    head_settings={"task": "regression"},
    loss="berhu",
    protocols=("standard", "paper"),
    primary=Primary(metric="delta1", protocol="standard"),
    recipes={
        "cpu": short.DEPTH,
        "paper": TransferRecipe(
            epochs=2000,
            warmup_epochs=100,
            batch_size=128,
            micro_batch_size=64,
            loss_average="micro_batch",
            lr=1e-4,
            weight_decay=1e-4,
            drop_path_rate=0.0,
            decayed_embeddings="parity",
            input_size=256,
            num_evaluations=8,
            num_workers=16,
        ),
    },
)

"""What is measured on ADE20K (Zhou et al., CVPR 2017): segmentation into 150 classes from RGB.

The `paper` recipe is the reference's ft_ade_64e; the pre-training is for a start without published weights.
"""

from dataclasses import replace

from benchmarks import short
from benchmarks.nyuv2 import PRETRAINING as NYUV2_PRETRAINING
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task

PRETRAINING = replace(NYUV2_PRETRAINING, name="ade20k-pretrain", primary=Primary(metric="loss_rgb", protocol="masked"))

SEMSEG = Task(
    name="ade20k-semseg",
    kind="semseg",
    head="convnext",
    loss="cross_entropy",
    protocols=("standard", "paper"),
    primary=Primary(metric="miou", protocol="standard"),
    recipes={
        "cpu": short.SEMSEG,
        "paper": TransferRecipe(
            epochs=64,
            warmup_epochs=1,
            batch_size=16,
            micro_batch_size=16,
            loss_average="micro_batch",
            lr=1e-4,
            decayed_embeddings="parity",
            input_size=512,
            precision="fp16",
            num_evaluations=64,
            num_workers=16,
        ),
    },
)

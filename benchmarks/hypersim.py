"""What is measured on Hypersim (Roberts et al., ICCV 2021): segmentation into the 40 classes of NYUv2.

The `paper` recipe is the reference's ft_hypersim_25e, which trains in float32.
"""

from dataclasses import replace

from benchmarks import short
from benchmarks.nyuv2 import PRETRAINING as NYUV2_PRETRAINING
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task

PRETRAINING = replace(NYUV2_PRETRAINING, name="hypersim-pretrain")

SEMSEG = Task(
    name="hypersim-semseg",
    kind="semseg",
    head="convnext",
    loss="cross_entropy",
    protocols=("standard", "paper"),
    primary=Primary(metric="miou", protocol="standard"),
    recipes={
        "cpu": short.SEMSEG,
        "paper": TransferRecipe(
            epochs=25,
            warmup_epochs=1,
            batch_size=16,
            micro_batch_size=16,
            loss_average="micro_batch",
            lr=1e-4,
            decayed_embeddings="parity",
            input_size=512,
            num_evaluations=25,
            num_workers=16,
        ),
    },
)

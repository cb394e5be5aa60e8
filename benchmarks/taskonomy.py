"""What is measured on Taskonomy (Zamir et al., CVPR 2018): eight domains predicted from RGB, 800 training images.

The `paper` recipe is the reference's rgb2<domain>-1k, the same for all eight. The reference trains on the first 800
rows of a table that was never published, ours on 800 images spread over the names.
"""

from dataclasses import replace

from benchmarks import short
from benchmarks.nyuv2 import PRETRAINING as NYUV2_PRETRAINING
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task

DOMAINS = (
    "principal_curvature",
    "depth_zbuffer",
    "edge_texture",
    "edge_occlusion",
    "keypoints2d",
    "keypoints3d",
    "normal",
    "reshading",
)

PRETRAINING = replace(
    NYUV2_PRETRAINING, name="taskonomy-pretrain", primary=Primary(metric="loss_rgb", protocol="masked")
)


def _task(domain: str) -> Task:
    return Task(
        name=f"taskonomy-{domain}",
        kind="regression",
        target=domain,
        head="dpt",
        head_settings={"task": "regression"},
        loss="target_l1",
        protocols=("standard", "paper"),
        primary=Primary(metric="l1", protocol="standard"),
        recipes={
            "cpu": short.REGRESSION,
            "paper": TransferRecipe(
                epochs=100,
                warmup_epochs=5,
                batch_size=8,
                loss_average="micro_batch",
                lr=3e-4,
                decayed_embeddings="parity",
                hflip_prob=0.0,
                input_size=384,
                precision="fp16",
                num_evaluations=20,
                num_train_images=800,
                num_val_images=200,
                num_workers=16,
            ),
        },
    )


TASKS = tuple(_task(domain) for domain in DOMAINS)

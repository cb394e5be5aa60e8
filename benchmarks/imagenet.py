"""What is measured on ImageNet-1K: the paper's pre-trainings, and classification, fine-tuned or by a probe.

The `paper` recipes are the reference's (pretrain 400e and 1600e, ft_in1k_100e) and MAE's linear probe.
"""

from dataclasses import replace

from benchmarks import short
from benchmarks.kinds.classification import ClassificationRecipe
from benchmarks.kinds.pretraining import PretrainingRecipe
from benchmarks.task import Primary, Task

PRETRAINING = Task(
    name="imagenet-1600e-pretrain",
    kind="pretraining",
    protocols=("masked",),
    primary=Primary(metric="loss_depth", protocol="masked"),
    recipes={
        "cpu": short.PRETRAINING,
        "paper": PretrainingRecipe(
            epochs=1600,
            warmup_epochs=40,
            batch_size=2048,
            micro_batch_size=256,
            loss_average="micro_batch",
            base_lr=1e-4,
            beta2=0.95,
            precision="fp16",
            full_precision_outputs=("semseg",),
            num_workers=10,
        ),
    },
)

PRETRAINING_400 = replace(
    PRETRAINING,
    name="imagenet-400e-pretrain",
    recipes={
        "cpu": replace(PRETRAINING.recipes["cpu"], epochs=10, warmup_epochs=1),
        "paper": replace(PRETRAINING.recipes["paper"], epochs=400),
    },
)

CLASSIFICATION = Task(
    name="imagenet-cls",
    kind="classification",
    head="linear",
    loss="label_cross_entropy",
    protocols=("standard",),
    primary=Primary(metric="top1", protocol="standard"),
    recipes={
        "cpu": short.CLASSIFICATION,
        "paper": ClassificationRecipe(
            epochs=100,
            warmup_epochs=5,
            batch_size=1024,
            micro_batch_size=128,
            loss_average="micro_batch",
            base_lr=5e-4,
            min_lr=1e-6,
            layer_decay=0.65,
            decayed_embeddings="parity",
            drop_path_rate=0.1,
            mixup=0.8,
            cutmix=1.0,
            label_smoothing=0.1,
            rand_augment="rand-m9-mstd0.5-inc1",
            precision="fp16",
            num_evaluations=100,
            num_workers=10,
        ),
    },
)

# MAE's linear probe (He et al. 2022, appendix A.1, table 10), with which MultiMAE's author probed (issue #1 there).
LINEAR = replace(
    CLASSIFICATION,
    name="imagenet-linear",
    recipes={
        "cpu": replace(short.CLASSIFICATION, tuning="linear", lr=1e-2, weight_decay=0.0, layer_decay=1.0),
        "paper": ClassificationRecipe(
            tuning="linear",
            pool="global",
            epochs=90,
            warmup_epochs=10,
            batch_size=16384,
            micro_batch_size=2048,
            loss_average="micro_batch",
            optimizer="lars",
            base_lr=0.1,
            beta1=0.9,
            weight_decay=0.0,
            layer_decay=1.0,
            num_workers=10,
        ),
    },
)

KNN = replace(
    CLASSIFICATION,
    name="imagenet-knn",
    recipes={
        "cpu": replace(short.CLASSIFICATION, tuning="knn"),
        "paper": ClassificationRecipe(tuning="knn", pool="global", batch_size=256, num_workers=10),
    },
)

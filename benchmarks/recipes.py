"""The tunable numbers of a training: those of every one, and those of every transfer."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The tunable numbers of a training.

    `batch_size` counts samples per optimizer step over all devices and accumulation; `micro_batch_size` is what the
    devices of a run hold at a time together (0: the whole batch). `loss_average`: what a loss is the mean of, all that
    counts in an optimizer step ("step": the same on any number of devices and micro-batches), or what counts in each
    device's micro-batch, whose means are averaged ("micro_batch": the reference's way, one micro-batch for each of its
    devices). `lr` is absolute; `base_lr` is per 256 samples and wins when not 0.
    Crops, masks and dropped paths are drawn, samples mixed and a probe's BatchNorm computed by each device for itself.
    `clip_grad` 0 means none; `beta1` is the momentum of LARS. `store_size` is the shorter side images are stored at
    when read (0: as they are). `val_ratio` is the share of the training split held out for the validation curves, never
    trained on; `train_ratio` the share of the rest that is trained on, chosen by `subset_seed`, of each class alike:
    few-shot learning. `num_train_images` and `num_val_images` cut a split that is larger.
    `pseudo`: modalities read from `pseudo_<modality>`, where `multimae data pseudo-label` writes.
    """

    epochs: int = 100
    warmup_epochs: float = 0.0
    batch_size: int = 16
    micro_batch_size: int = 0
    loss_average: Literal["step", "micro_batch"] = "step"
    optimizer: Literal["adamw", "lars"] = "adamw"
    lr: float = 1e-4
    base_lr: float = 0.0
    min_lr: float = 0.0
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    clip_grad: float = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: Literal["none", "default"] = "none"
    input_size: int = 224
    hflip_prob: float = 0.5
    val_ratio: float = 0.0
    train_ratio: float = 1.0
    subset_seed: int = 0
    num_train_images: int = 0
    num_val_images: int = 0
    num_evaluations: int = 4
    store_size: int = 0
    cache: Literal["none", "memory"] = "none"
    num_workers: int = 0
    pseudo: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TransferRecipe(Recipe):
    """Transfer: what is trained, layer-wise learning-rate decay (1: none), drop path, the augmentation's ranges.

    `tuning`: "full" trains everything, "partial" the last `num_tuned_blocks` blocks and the head, "frozen" the task's
    head alone, "linear" one linear layer on frozen features, "knn" nothing: the `num_neighbours` nearest training
    features answer. `new_modalities`: inputs that the checkpoint may lack; their adapters start fresh.
    `decayed_embeddings`: weight decay of class embeddings; "parity" decays them, as the reference does against its
    intent (its names never match).
    `selection`: the weights that are reported, the last ones or those best on the held-out validation; "test" selects
    on the very images that are reported, as the reference does, and says so in every result.
    `inference` and `flip` are for the standard protocol: the whole image at once or a sliding window, and whether the
    mirrored image's prediction is averaged in. `paper_num_images` 100 scores as few test images as the reference's
    depth script does by default; 0 scores all.
    """

    tuning: Literal["full", "partial", "frozen", "linear", "knn"] = "full"
    num_tuned_blocks: int = 4
    num_neighbours: int = 20
    new_modalities: tuple[str, ...] = ()
    decayed_embeddings: Literal["none", "parity"] = "none"
    layer_decay: float = 0.75
    drop_path_rate: float = 0.1
    scale_min: float = 0.1
    scale_max: float = 2.0
    color_jitter_prob: float = 0.5
    selection: Literal["last", "validation", "test"] = "last"
    inference: Literal["whole", "slide"] = "whole"
    flip: Literal["none", "average"] = "none"
    paper_num_images: int = 0

"""The tunable numbers of a training, each with its range: those of every one, and those of every transfer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from benchmarks.ranges import Divides, NotAbove, OneOf, check
from multimae.tables.modalities import MODALITIES

Share = Annotated[float, Interval(gt=0, le=1)]
Probability = Annotated[float, Interval(ge=0, le=1)]
BelowOne = Annotated[float, Interval(ge=0, lt=1)]
Count = Annotated[int, Ge(0)]
Modalities = tuple[Annotated[str, OneOf("modality", MODALITIES)], ...]


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
    `patch_size`, in pixels of the input: 0 follows the weights that a run starts from, and is 16 from scratch.
    `pseudo`: modalities read from `pseudo_<modality>`, where `multimae data pseudo-label` writes.
    """

    epochs: Annotated[int, Ge(1)] = 100
    warmup_epochs: Annotated[float, Ge(0), NotAbove("epochs")] = 0.0
    batch_size: Annotated[int, Ge(1)] = 16
    micro_batch_size: Annotated[int, Ge(0), Divides("batch_size")] = 0
    loss_average: Literal["step", "micro_batch"] = "step"
    optimizer: Literal["adamw", "lars"] = "adamw"
    lr: Annotated[float, Gt(0)] = 1e-4
    base_lr: Annotated[float, Ge(0)] = 0.0
    min_lr: Annotated[float, Ge(0)] = 0.0
    weight_decay: Annotated[float, Ge(0)] = 0.05
    beta1: BelowOne = 0.9
    beta2: BelowOne = 0.999
    clip_grad: Annotated[float, Ge(0)] = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: Literal["none", "default"] = "none"
    input_size: Annotated[int, Ge(1)] = 224
    patch_size: Count = 16
    hflip_prob: Probability = 0.5
    val_ratio: BelowOne = 0.0
    train_ratio: Share = 1.0
    subset_seed: Count = 0
    num_train_images: Count = 0
    num_val_images: Count = 0
    num_evaluations: Annotated[int, Ge(1)] = 4
    store_size: Count = 0
    cache: Literal["none", "memory"] = "none"
    num_workers: Count = 0
    pseudo: Modalities = ()

    def __post_init__(self) -> None:
        check(self)


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
    num_tuned_blocks: Count = 4
    num_neighbours: Annotated[int, Ge(1)] = 20
    new_modalities: Modalities = ()
    decayed_embeddings: Literal["none", "parity"] = "none"
    layer_decay: Share = 0.75
    drop_path_rate: BelowOne = 0.1
    scale_min: Annotated[float, Gt(0), NotAbove("scale_max")] = 0.1
    scale_max: Annotated[float, Gt(0)] = 2.0
    color_jitter_prob: Probability = 0.5
    selection: Literal["last", "validation", "test"] = "last"
    inference: Literal["whole", "slide"] = "whole"
    flip: Literal["none", "average"] = "none"
    paper_num_images: Count = 0

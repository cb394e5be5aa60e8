"""What is measured: a task joins a data set, a head, its metrics under named protocols, and a recipe per profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Profile = Literal["cpu", "paper"]
Protocol = Literal["standard", "paper", "masked"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The tunable numbers of a training.

    `batch_size` counts samples per optimizer step over all devices and accumulation; `micro_batch_size` is what one
    device holds at a time (0: the whole batch). `lr` is absolute; `base_lr` is per 256 samples and wins when not 0.
    `clip_grad` 0 means none. `store_size` is the shorter side images are stored at when read (0: as they are).
    `val_ratio` is the share of the training split held out for the validation curves, never trained on.
    """

    epochs: int = 100
    warmup_epochs: float = 0.0
    batch_size: int = 16
    micro_batch_size: int = 0
    lr: float = 1e-4
    base_lr: float = 0.0
    min_lr: float = 0.0
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    clip_grad: float = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    input_size: int = 224
    hflip_prob: float = 0.5
    val_ratio: float = 0.0
    num_evaluations: int = 4
    store_size: int = 0
    cache: Literal["none", "memory"] = "none"
    num_workers: int = 0


@dataclass(frozen=True, kw_only=True)
class PretrainingRecipe(Recipe):
    """Masked multi-modal pre-training (paper, section 3 and appendix): Dirichlet `alphas`, visible tokens, crops."""

    num_visible_tokens: int = 98
    alphas: float = 1.0
    crop_scale_min: float = 0.2
    crop_scale_max: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TransferRecipe(Recipe):
    """Fine-tuning: layer-wise learning-rate decay (1: none), drop path, and the augmentation's ranges."""

    layer_decay: float = 0.75
    drop_path_rate: float = 0.1
    scale_min: float = 0.1
    scale_max: float = 2.0
    color_jitter_prob: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The one number a task is judged by."""

    metric: str
    protocol: Protocol


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to measure.

    `head` names a module of `multimae.heads`, and the head it registers; what a head needs beyond the numbers of a
    size is in `head_settings`. `protocols` are the scorings reported.
    """

    name: str
    kind: Literal["pretraining", "semseg", "depth"]
    head: str = ""
    head_settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    loss: str = ""
    protocols: tuple[Protocol, ...]
    primary: Primary
    recipes: Mapping[Profile, Recipe]

"""What is measured: a task joins a data set, a head, its metrics under named protocols, and a recipe per profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

Profile = Literal["cpu", "paper"]
Protocol = Literal["standard", "paper", "masked"]
Kind = Literal["pretraining", "semseg", "depth", "classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The tunable numbers of a training.

    `batch_size` counts samples per optimizer step over all devices and accumulation; `micro_batch_size` is what the
    devices of a run hold at a time together (0: the whole batch). `lr` is absolute; `base_lr` is per 256 samples and
    wins when not 0.
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
class PretrainingRecipe(Recipe):
    """Masked multi-modal pre-training (paper, section 3 and appendix).

    `alphas`: Dirichlet concentration, one for all modalities or one each. `rgb_targets`: what is predicted of RGB, its
    pixels, each patch's pixels normalised, or both by a decoder each. `full_precision_outputs`: decoders kept in
    float32. `balancer_lr_scale` is for the learned weights of `loss_weighting="uncertainty"`. `missing="allow"` trains
    on samples that lack modalities, too.
    """

    num_visible_tokens: int = 98
    alphas: tuple[float, ...] = (1.0,)
    sampling: Literal["dirichlet", "uniform_subsets"] = "dirichlet"
    rgb_targets: Literal["both", "pixels", "normalised"] = "both"
    loss_weighting: Literal["equal", "uncertainty"] = "equal"
    balancer_lr_scale: float = 1.0
    full_precision_outputs: tuple[str, ...] = ()
    missing: Literal["error", "allow"] = "error"
    crop_scale_min: float = 0.2
    crop_scale_max: float = 1.0


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


@dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(TransferRecipe):
    """Classification: random crops of `scale_min` to `scale_max` of the area, mixing of samples, smoothed labels.

    `mixup` and `cutmix` are parameters of Beta distributions, 0 for neither. `rand_augment` is timm's description, or
    empty. `pool`: what the classifier reads, the mean of all tokens or the global token.
    """

    scale_min: float = 0.08
    scale_max: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    label_smoothing: float = 0.0
    rand_augment: str = ""
    pool: Literal["mean", "global"] = "mean"


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The one number a task is judged by."""

    metric: str
    protocol: Protocol


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to measure.

    `target`: the modality that a regression predicts; other kinds say it by themselves. `head` names a module of
    `multimae.heads`, and the head it registers; what a head needs beyond the numbers of a size is in `head_settings`.
    `protocols` are the scorings reported.
    """

    name: str
    kind: Kind
    target: str = ""
    head: str = ""
    head_settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    loss: str = ""
    protocols: tuple[Protocol, ...]
    primary: Primary
    recipes: Mapping[Profile, Recipe]

    def __post_init__(self) -> None:
        if (self.kind == "regression") != bool(self.target):
            raise ValueError(
                f"task {self.name!r} is of kind {self.kind!r} with target {self.target!r}; a regression names the "
                "modality it predicts, other kinds name none"
            )

    @property
    def predicts(self) -> str:
        """The modality whose files are the target; empty for pre-trainings and for classes of samples."""
        return self.kind if self.kind in ("semseg", "depth") else self.target

    def variant(self, name: str, **changes: Any) -> "Task":
        """Return the task under another name with the recipes of all profiles changed."""
        recipes: dict[Profile, Recipe] = {
            profile: replace(recipe, **changes) for profile, recipe in self.recipes.items()
        }
        return replace(self, name=name, recipes=MappingProxyType(recipes))

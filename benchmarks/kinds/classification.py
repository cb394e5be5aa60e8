"""Classification: one class for every sample."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from benchmarks.kind import Config, Setup, TransferKind
from benchmarks.ranges import Matches, NotAbove
from benchmarks.recipes import BelowOne, Share, TransferRecipe
from multimae.data.spec import DatasetSpec

RAND_AUGMENT = Matches(
    r"(rand(-((mstd|mmax|inc|m|n|p)\d+(\.\d+)?|t\w*))*)?",
    "timm's description of a RandAugment, such as rand-m9-mstd0.5-inc1, or nothing",
)


@dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(TransferRecipe):
    """Classification: random crops of `scale_min` to `scale_max` of the area, mixing of samples, smoothed labels.

    `mixup` and `cutmix` are parameters of Beta distributions, 0 for neither. `rand_augment` is timm's description, or
    empty. `pool`: what the classifier reads, the mean of all tokens or the global token.
    """

    scale_min: Annotated[float, Interval(gt=0, le=1), NotAbove("scale_max")] = 0.08
    scale_max: Share = 1.0
    mixup: Annotated[float, Ge(0)] = 0.0
    cutmix: Annotated[float, Ge(0)] = 0.0
    label_smoothing: BelowOne = 0.0
    rand_augment: Annotated[str, RAND_AUGMENT] = ""
    pool: Literal["mean", "global"] = "mean"


class ClassificationKind(TransferKind[ClassificationRecipe]):
    """Predict the class of a sample, which its folder or a table names."""

    recipe = ClassificationRecipe
    modules = ("multimae.transfer", "multimae.data.pipelines.classification")
    wants_classes = True
    answers = "vector"
    truth = "label"

    def folder(self, recipe: ClassificationRecipe) -> Config:
        return {"labelled": True}

    def num_outputs(self, setup: Setup[ClassificationRecipe]) -> int:
        return setup.num_labels

    def model(self, setup: Setup[ClassificationRecipe], *, backbone: Config) -> Config:
        recipe = setup.recipe
        chosen = {"mixup": recipe.mixup, "cutmix": recipe.cutmix, "label_smoothing": recipe.label_smoothing}
        mixing = {"mixing": {"num_classes": setup.num_labels, **chosen}} if any(chosen.values()) else {}
        return {**super().model(setup, backbone=backbone), **mixing}

    def head(self, setup: Setup[ClassificationRecipe]) -> Config:
        return {**super().head(setup), "pool": setup.recipe.pool}

    def augmentation(self, setup: Setup[ClassificationRecipe], *, common: Config) -> Config:
        recipe = setup.recipe
        return {
            "type": "multimae.ClassificationAugmentation",
            **common,
            "scale_min": recipe.scale_min,
            "scale_max": recipe.scale_max,
            "hflip_prob": recipe.hflip_prob,
            "rand_augment": recipe.rand_augment,
        }

    def evaluation(self, setup: Setup[ClassificationRecipe], *, common: Config, protocol: str) -> Config:
        return {"type": "multimae.ClassificationEvaluation", **common}

    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        return {"type": "multimae.ClassificationMetric"}


KIND = ClassificationKind()

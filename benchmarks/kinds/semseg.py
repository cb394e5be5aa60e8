"""Semantic segmentation: a class for every pixel."""

from benchmarks.kind import Config, Setup, TransferKind
from benchmarks.recipes import TransferRecipe
from multimae.data.spec import DatasetSpec


class SemsegKind(TransferKind[TransferRecipe]):
    """Predict the classes of the data set, scored by a confusion matrix."""

    recipe = TransferRecipe
    modules = ("multimae.transfer", "multimae.data.pipelines.semseg")
    truth = "semseg"

    def predicts(self, target: str) -> str:
        return "semseg"

    def num_outputs(self, setup: Setup[TransferRecipe]) -> int:
        return setup.dataset.num_classes

    def augmentation(self, setup: Setup[TransferRecipe], *, common: Config) -> Config:
        recipe = setup.recipe
        return {
            "type": "multimae.SemsegAugmentation",
            **common,
            "scale_min": recipe.scale_min,
            "scale_max": recipe.scale_max,
            "hflip_prob": recipe.hflip_prob,
            "color_jitter_prob": recipe.color_jitter_prob,
        }

    def evaluation(self, setup: Setup[TransferRecipe], *, common: Config, protocol: str) -> Config:
        # Windows slide over an image whose shorter side is one window long.
        slides = setup.recipe.inference == "slide" and protocol == "standard"
        side = {"side": "shorter"} if slides else {}
        return {"type": "multimae.SemsegEvaluation", **common, "protocol": protocol, **side, **setup.padded}

    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        return {"type": "multimae.SegmentationMetric", "num_classes": dataset.num_classes, "protocol": protocol}

    def is_batched(self, protocol: str) -> bool:
        return protocol != "standard"


KIND = SemsegKind()

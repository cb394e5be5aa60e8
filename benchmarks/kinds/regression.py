"""Regression: the values of one domain in [0, 1], such as Taskonomy's, for every pixel."""

from benchmarks.kind import Config, Setup, TransferKind
from benchmarks.recipes import TransferRecipe
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import modality


class RegressionKind(TransferKind[TransferRecipe]):
    """Predict the modality that the task names."""

    recipe = TransferRecipe
    modules = ("multimae.transfer", "multimae.data.pipelines.regression")
    wants_target = True
    truth = "target"

    def num_outputs(self, setup: Setup[TransferRecipe]) -> int:
        return modality(setup.target).num_channels

    def augmentation(self, setup: Setup[TransferRecipe], *, common: Config) -> Config:
        return {
            "type": "multimae.RegressionAugmentation",
            **common,
            "target": setup.target,
            "hflip_prob": setup.recipe.hflip_prob,
        }

    def evaluation(self, setup: Setup[TransferRecipe], *, common: Config, protocol: str) -> Config:
        return {
            "type": "multimae.RegressionEvaluation",
            **common,
            "target": setup.target,
            "protocol": protocol,
            **setup.padded,
        }

    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        return {"type": "multimae.RegressionMetric", "protocol": protocol}

    def is_batched(self, protocol: str) -> bool:
        return protocol != "standard"


KIND = RegressionKind()

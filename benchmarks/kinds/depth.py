"""Depth estimation: metres along the camera's axis for every pixel."""

from benchmarks.kind import Config, Setup, TransferKind
from benchmarks.recipes import TransferRecipe
from multimae.data.spec import DatasetSpec


class DepthKind(TransferKind[TransferRecipe]):
    """Predict depth, standardised by the mean and the deviation of the data set."""

    recipe = TransferRecipe
    modules = ("multimae.transfer", "multimae.data.pipelines.depth")
    truth = "depth"

    def predicts(self, target: str) -> str:
        return "depth"

    def num_outputs(self, setup: Setup[TransferRecipe]) -> int:
        return 1

    def augmentation(self, setup: Setup[TransferRecipe], *, common: Config) -> Config:
        return {
            "type": "multimae.DepthAugmentation",
            **common,
            "hflip_prob": setup.recipe.hflip_prob,
            "color_jitter_prob": setup.recipe.color_jitter_prob,
        }

    def evaluation(self, setup: Setup[TransferRecipe], *, common: Config, protocol: str) -> Config:
        return {"type": "multimae.DepthEvaluation", **common, "protocol": protocol, **setup.padded}

    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        return {
            "type": "multimae.DepthMetric",
            "depth_mean_mm": dataset.depth_mean_mm,
            "depth_std_mm": dataset.depth_std_mm,
            "max_depth_m": dataset.max_depth_m,
            "eval_crop": dataset.eval_crop,
            "protocol": protocol,
        }

    def is_batched(self, protocol: str) -> bool:
        return protocol != "standard"


KIND = DepthKind()

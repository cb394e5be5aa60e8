"""Pre-training: hidden patches of all modalities are predicted from the visible ones (paper, section 3)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from benchmarks.kind import Config, Setup, TaskKind
from benchmarks.ranges import NotAbove, OneOf
from benchmarks.recipes import Recipe, Share
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import MODALITIES

DECODED = (*MODALITIES, "norm_rgb")


@dataclass(frozen=True, kw_only=True)
class PretrainingRecipe(Recipe):
    """Masked multi-modal pre-training (paper, section 3 and appendix).

    `alphas`: Dirichlet concentration, one for all modalities or one each. `rgb_targets`: what is predicted of RGB, its
    pixels, each patch's pixels normalised, or both by a decoder each. `full_precision_outputs`: decoders kept in
    float32. `balancer_lr_scale` is for the learned weights of `loss_weighting="uncertainty"`. `missing="allow"` trains
    on samples that lack modalities, too.
    """

    num_visible_tokens: Annotated[int, Ge(1)] = 98
    alphas: tuple[Annotated[float, Gt(0)], ...] = (1.0,)
    sampling: Literal["dirichlet", "uniform_subsets"] = "dirichlet"
    rgb_targets: Literal["both", "pixels", "normalised"] = "both"
    loss_weighting: Literal["equal", "uncertainty"] = "equal"
    balancer_lr_scale: Annotated[float, Ge(0)] = 1.0
    full_precision_outputs: tuple[Annotated[str, OneOf("output", DECODED)], ...] = ()
    missing: Literal["error", "allow"] = "error"
    crop_scale_min: Annotated[float, Interval(gt=0, le=1), NotAbove("crop_scale_max")] = 0.2
    crop_scale_max: Share = 1.0


class PretrainingKind(TaskKind[PretrainingRecipe]):
    """Predict `outputs`, by default the inputs; there is no head, and the masked losses are the score."""

    recipe = PretrainingRecipe
    scope = "pretraining"
    modules = ("multimae.pretraining", "multimae.data.pipelines.pretraining")
    wants_head = False
    takes_all_cores = True  # every transfer waits for it

    def truths(self, *, inputs: tuple[str, ...], outputs: tuple[str, ...], target: str) -> tuple[str, ...]:
        return outputs or inputs

    def folder(self, recipe: PretrainingRecipe) -> Config:
        return {"missing": recipe.missing} if recipe.missing != "error" else {}

    def model(self, setup: Setup[PretrainingRecipe], *, backbone: Config) -> Config:
        recipe, size = setup.recipe, setup.size
        predicted = setup.outputs or setup.inputs
        return {
            "type": "multimae.MultiMAEPretraining",
            "backbone": backbone,
            "outputs": _decoded(predicted, recipe=recipe),
            "decoder_dim": size.decoder_dim,
            "decoder_depth": size.decoder_depth,
            "decoder_heads": size.decoder_heads,
            "num_visible_tokens": recipe.num_visible_tokens,
            "alphas": recipe.alphas[0] if len(recipe.alphas) == 1 else list(recipe.alphas),
            "sampling": recipe.sampling,
            "loss_weighting": recipe.loss_weighting,
            "full_precision_outputs": [name for name in recipe.full_precision_outputs if name in predicted],
        }

    def augmentation(self, setup: Setup[PretrainingRecipe], *, common: Config) -> Config:
        return {
            "type": "multimae.PretrainingAugmentation",
            **common,
            **_unread(setup),
            "crop_scale_min": setup.recipe.crop_scale_min,
            "crop_scale_max": setup.recipe.crop_scale_max,
            "hflip_prob": setup.recipe.hflip_prob,
        }

    def evaluation(self, setup: Setup[PretrainingRecipe], *, common: Config, protocol: str) -> Config:
        return {"type": "multimae.PretrainingEvaluation", **common, **_unread(setup)}

    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        return {}  # the model's own losses

    def paramwise(self, recipe: PretrainingRecipe) -> Config:
        learned = recipe.loss_weighting == "uncertainty"
        return {"balancer_lr_scale": recipe.balancer_lr_scale} if learned else {}

    def missing(self, recipe: PretrainingRecipe) -> Literal["error", "allow"]:
        return recipe.missing


def _decoded(predicted: tuple[str, ...], *, recipe: PretrainingRecipe) -> list[str]:
    """Name what has a decoder: every modality predicted, RGB as `rgb_targets` says."""
    targets = {"both": ("rgb", "norm_rgb"), "pixels": ("rgb",), "normalised": ("norm_rgb",)}[recipe.rgb_targets]
    pixels = [name for name in predicted if name != "rgb" or "rgb" in targets]
    return [*pixels, "norm_rgb"] if "rgb" in predicted and "norm_rgb" in targets else pixels


def _unread(setup: Setup[PretrainingRecipe]) -> Config:
    """Name the modalities that are predicted but not read."""
    targets = [name for name in setup.outputs if name not in setup.inputs]
    return {"targets": targets} if targets else {}


KIND = PretrainingKind()

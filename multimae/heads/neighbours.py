"""Nearest neighbours: predict by what the most similar training features were labelled, without any training.

For samples this is weighted k-NN (Wu et al. 2018, with the k and temperature of DINO, Caron et al. 2021); for maps the
same patch by patch (Balažević et al. 2023).
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.layers import EncoderOutput, unfold_patches
from multimae.losses import IGNORE_LABEL
from multimae.registry import MODELS
from multimae.shapes import Bool, Float, Int

QUERIES_AT_A_TIME = 512


class Answers(NamedTuple):
    """Hold what is right for each feature, and whether anything is known there."""

    values: Float[Tensor, "features outputs"]
    known: Bool[Tensor, "features"]


@MODELS.register_module(name=["NeighbourHead", "neighbours"])
class NeighbourHead(BaseModule):  # type: ignore[misc]  # mmengine is untyped
    """Remember features of training data with their labels, then answer by the `num_neighbours` most similar ones.

    Similarity is the cosine; a neighbour weighs exp(similarity / `temperature`). `target`: "label" answers shares of
    classes per sample, "semseg" per patch, "depth" the mean depth per patch; maps are enlarged to the image. At most
    `max_features` are kept, a random subset of all, always the same one.
    """

    keys: Tensor
    values: Tensor
    _ranks: Tensor

    def __init__(
        self,
        *,
        dim: int,
        num_main: int,
        num_outputs: int,
        target: Literal["label", "semseg", "depth", "target"],
        num_neighbours: int = 20,
        temperature: float = 0.07,
        max_features: int = 50_000,
        pool: Literal["mean", "global"] = "mean",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.target, self.num_outputs, self.pool = target, num_outputs, pool
        self.num_neighbours, self.temperature, self.max_features = num_neighbours, temperature, max_features
        width = dim if target == "label" else dim * num_main
        self.register_buffer("keys", torch.empty(0, width))
        self.register_buffer("values", torch.empty(0, num_outputs))
        self.register_buffer("_ranks", torch.empty(0), persistent=False)
        self._generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def remember(self, encoded: EncoderOutput, *, targets: Mapping[str, Tensor]) -> None:
        """Add a batch of training data; targets are at the size of the model's input."""
        features = self._features(encoded).flatten(0, -2)
        values, known = self._answers(encoded, targets=targets)
        ranks = torch.rand(len(features), generator=self._generator).to(features.device)
        keys = torch.cat([self.keys, features[known]])
        values = torch.cat([self.values, values[known]])
        ranks = torch.cat([self._ranks, ranks[known]])
        kept = ranks.argsort()[: self.max_features]
        self.keys, self.values, self._ranks = keys[kept], values[kept], ranks[kept]

    def forward(self, encoded: EncoderOutput, *, image_size: tuple[int, int]) -> Float[Tensor, "batch outputs *map"]:
        if not len(self.keys):
            raise RuntimeError("nothing to compare with: call remember with training data first")
        features = self._features(encoded)
        chunks = torch.split(features.flatten(0, -2), QUERIES_AT_A_TIME)
        answers = torch.cat([self._answer(chunk) for chunk in chunks])
        outputs: Tensor = answers.view(*features.shape[:-1], self.num_outputs)
        if self.target == "label":
            return outputs
        return F.interpolate(encoded.as_map(outputs), size=image_size, mode="bilinear", align_corners=False)

    def _features(self, encoded: EncoderOutput) -> Float[Tensor, "batch *tokens width"]:
        features = encoded.pooled(self.pool) if self.target == "label" else encoded.patch_tokens()
        return F.normalize(features.float(), dim=-1)

    def _answer(self, queries: Float[Tensor, "queries width"]) -> Float[Tensor, "queries outputs"]:
        nearest = (queries @ self.keys.T).topk(min(self.num_neighbours, len(self.keys)), dim=1)
        weights = (nearest.values / self.temperature).softmax(dim=1)
        # [queries, 1, neighbours] @ [queries, neighbours, outputs]
        return (weights[:, None] @ self.values[nearest.indices])[:, 0]

    def _answers(self, encoded: EncoderOutput, *, targets: Mapping[str, Tensor]) -> Answers:
        if self.target == "label":
            shares = F.one_hot(targets["label"], self.num_outputs).float()
            return Answers(values=shares, known=torch.ones_like(targets["label"], dtype=torch.bool))
        patch_size = targets[self.target].shape[-1] // encoded.grid.width
        if self.target == "semseg":
            return _shares_of_classes(targets["semseg"], patch_size=patch_size, num_classes=self.num_outputs)
        return _means(targets[self.target], valid=targets["mask_valid"], patch_size=patch_size)


def _shares_of_classes(labels: Int[Tensor, "batch height width"], *, patch_size: int, num_classes: int) -> Answers:
    pixels = unfold_patches(labels[:, None], patch_size=patch_size).flatten(0, 1)
    classes = pixels.masked_fill(pixels == IGNORE_LABEL, num_classes)
    counts = torch.zeros(len(pixels), num_classes + 1, device=labels.device)
    counts = counts.scatter_add_(1, classes, torch.ones_like(classes, dtype=counts.dtype))[:, :num_classes]
    total = counts.sum(dim=1, keepdim=True)
    return Answers(values=counts / total.clamp(min=1), known=total[:, 0] > 0)


def _means(
    maps: Float[Tensor, "batch channels height width"], *, valid: Bool[Tensor, "batch 1 height width"], patch_size: int
) -> Answers:
    weights = unfold_patches(valid.float(), patch_size=patch_size).flatten(0, 1)
    # [patches, channels * pixels] -> [patches, channels, pixels]
    values = unfold_patches(maps, patch_size=patch_size).view(-1, maps.shape[1], patch_size**2)
    total = weights.sum(dim=1, keepdim=True)
    return Answers(values=(values * weights[:, None]).sum(dim=2) / total.clamp(min=1), known=total[:, 0] > 0)

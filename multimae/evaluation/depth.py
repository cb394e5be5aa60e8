"""Depth: errors in millimetres as the reference averages them, in metres as the field does."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.data.outliers import outlying_codes
from multimae.evaluation.constants import histogram, median_of
from multimae.evaluation.scoring import Batch, Protocol, Scoring, check_same_size, resize_map
from multimae.registry import EVALUATORS
from multimae.shapes import Bool, Float

logger = logging.getLogger(__name__)
MIN_DEPTH_M = 1e-3
MIN_DENOMINATOR_MM = 1e-6


class DepthPair(NamedTuple):
    """Hold predicted and true depth of the pixels that count."""

    prediction: Float[Tensor, " pixels"]
    target: Float[Tensor, " pixels"]


@EVALUATORS.register_module()
class DepthMetric(Scoring):
    """Score depth given as (mm - `depth_mean_mm`) / `depth_std_mm`.

    `paper`: over the pooled valid pixels of each batch, batches averaged with equal weight, at the size of the model's
    input; `rmse_log` is what the reference prints as log10. `standard`: per image at original resolution inside
    `eval_crop` (top, bottom, left, right), predictions clamped to [1 mm, `max_depth_m`], targets beyond it left out,
    images averaged.
    """

    def __init__(
        self,
        *,
        depth_mean_mm: float,
        depth_std_mm: float,
        protocol: Protocol,
        max_depth_m: float = 10.0,
        eval_crop: Sequence[int] | None = None,
        **mmengine: Any,
    ) -> None:
        super().__init__(**mmengine)
        self.depth_mean_mm = depth_mean_mm
        self.depth_std_mm = depth_std_mm
        self.protocol = protocol
        self.max_depth_m = max_depth_m
        self.eval_crop = None if eval_crop is None else tuple(eval_crop)

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "1 height width"]]) -> None:
        """Add a batch of predictions; a batch (`paper`) or image (`standard`) without a valid pixel adds nothing."""
        targets = data_batch["targets"]
        if self.protocol == "paper":
            predictions = torch.stack(list(data_samples))
            check_same_size(predictions, targets["depth"], protocol=self.protocol)
            scores = [self._pooled(predictions, target=targets["depth"], valid=targets["mask_valid"])]
            self.num_empty += int((~targets["mask_valid"].flatten(1).any(dim=1)).sum())
        else:
            triples = zip(data_samples, targets["depth"], targets["mask_valid"], strict=True)
            scores = [self._per_image(prediction, target=target, valid=valid) for prediction, target, valid in triples]
            self.num_empty += sum(not score for score in scores)
        self.results += [score for score in scores if score]
        self.num_scored += len(data_samples)

    def process_constant(self, data_batch: Batch, constant: Tensor) -> None:
        """Add a batch of which every pixel is said to be `constant` millimetres away."""
        level = (float(constant) - self.depth_mean_mm) / self.depth_std_mm
        self.process(data_batch, list(torch.full_like(data_batch["targets"]["depth"], level)))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average batches or images with equal weight."""
        if not results:
            raise ValueError(f"no image has a pixel to score: all are invalid or outside eval_crop {self.eval_crop}")
        return {name: float(np.mean([score[name] for score in results])) for name in results[0]}

    def _pooled(
        self,
        prediction: Float[Tensor, "batch 1 height width"],
        *,
        target: Float[Tensor, "batch 1 height width"],
        valid: Bool[Tensor, "batch 1 height width"],
    ) -> dict[str, float]:
        pair = self._millimetres(prediction, target=target, valid=valid)
        return paper_depth_scores(pair.prediction, target=pair.target) if pair.target.numel() else {}

    def _per_image(
        self,
        prediction: Float[Tensor, "1 height width"],
        *,
        target: Float[Tensor, "1 original_height original_width"],
        valid: Bool[Tensor, "1 original_height original_width"],
    ) -> dict[str, float]:
        resized = resize_map(prediction, target.shape[-2:])
        pair = self._millimetres(self._crop(resized), target=self._crop(target), valid=self._crop(valid))
        metres, actual = pair.prediction / 1000, pair.target / 1000
        counted = (actual > 0) & (actual <= self.max_depth_m)
        if not counted.any():
            return {}
        return standard_depth_scores(metres[counted].clamp(MIN_DEPTH_M, self.max_depth_m), target=actual[counted])

    def _millimetres(self, prediction: Tensor, *, target: Tensor, valid: Tensor) -> DepthPair:
        """Pick the valid pixels and undo the normalisation, in float64 so that sums are exact enough."""
        device = prediction.device
        picked = (values.to(device)[valid.to(device)].double() for values in (prediction, target))
        return DepthPair(*(values * self.depth_std_mm + self.depth_mean_mm for values in picked))

    def _crop(self, map_: Tensor) -> Tensor:
        if self.eval_crop is None:
            return map_
        top, bottom, left, right = self.eval_crop
        height, width = map_.shape[-2:]
        if bottom > height or right > width:
            raise ValueError(
                f"eval_crop {self.eval_crop} (top, bottom, left, right) does not fit into {height}x{width}; it is for "
                "original resolution: evaluate with store_size=None, or pass eval_crop=None"
            )
        return map_[..., top:bottom, left:right]


def paper_depth_scores(prediction: Float[Tensor, " pixels"], *, target: Float[Tensor, " pixels"]) -> dict[str, float]:
    """Score millimetres as the reference does, which keeps negative depth and only guards divisions and logarithms."""
    safe_prediction, safe_target = (depth.clamp(min=MIN_DENOMINATOR_MM) for depth in (prediction, target))
    difference = prediction - target
    return {
        **_deltas(torch.maximum(prediction / safe_target, target / safe_prediction)),
        "rel": (difference.abs() / safe_target).mean().item(),
        "srel": (difference.square() / safe_target).mean().item() / 1000,
        "rmse": difference.square().mean().sqrt().item() / 1000,
        "rmse_log": (safe_prediction.log() - safe_target.log()).square().mean().sqrt().item(),
    }


def standard_depth_scores(
    prediction: Float[Tensor, " pixels"], *, target: Float[Tensor, " pixels"]
) -> dict[str, float]:
    """Score positive depth in metres with the usual definitions (Eigen et al., NeurIPS 2014)."""
    difference = prediction - target
    return {
        **_deltas(torch.maximum(prediction / target, target / prediction)),
        "rel": (difference.abs() / target).mean().item(),
        "srel": (difference.square() / target).mean().item(),
        "rmse": difference.square().mean().sqrt().item(),
        "log10": (prediction.log10() - target.log10()).abs().mean().item(),
    }


def _deltas(ratio: Float[Tensor, " pixels"]) -> dict[str, float]:
    # NaN is not below the threshold either, but a diverged model has no score rather than a bad one.
    nan = ratio.isnan()
    near = {f"delta{power}": (ratio < 1.25**power).double().masked_fill_(nan, torch.nan) for power in (1, 2, 3)}
    return {name: 100 * share.mean().item() for name, share in near.items()}


def median_depth_mm(folder: MultiModalFolder) -> float:
    """Return the median over all measured pixels, in millimetres; warn of codes that look like "no reading"."""
    counts = histogram(folder, modality="depth", num_values=2**16)
    for found in outlying_codes(counts.pixels, maps=counts.images):
        logger.warning(
            "depth of %s is %d in %.2g %% of the pixels, in %d of %d images, and else up to %d: if that means no "
            "reading, describe the data set with invalid_depth=(%d,); multimae data verify tells more",
            *(folder.spec.name, found.code, 100 * found.share, found.num_maps, len(folder), found.rest, found.code),
        )
    counts.pixels[0] = 0
    return float(median_of(counts.pixels))

"""Regression of a domain in [0, 1], such as Taskonomy's: the mean absolute error where the target is valid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.constants import median_of
from multimae.evaluation.scoring import Batch, Protocol, Scoring, check_same_size, resize_map
from multimae.registry import EVALUATORS
from multimae.shapes import Bool, Float

FULL_SCALE = 2**16 - 1


@EVALUATORS.register_module()
class RegressionMetric(Scoring):
    """Score `l1` over valid values, all channels alike.

    `paper`: over the pooled valid values of each batch, batches averaged with equal weight, at the size of the model's
    input. `standard`: per image at original resolution, predictions resized bilinearly, images averaged.
    """

    results: list[float]

    def __init__(self, *, protocol: Protocol, **mmengine: Any) -> None:
        super().__init__(**mmengine)
        self.protocol = protocol

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "channels height width"]]) -> None:
        """Add a batch of predictions; a batch (`paper`) or image (`standard`) without a valid pixel adds nothing."""
        targets, valid = (data_batch["targets"][name] for name in ("target", "mask_valid"))
        errors = [self._valid_errors(*triple) for triple in zip(data_samples, targets, valid, strict=True)]
        pooled = [torch.cat(errors)] if self.protocol == "paper" else errors
        self.results += [error.mean().item() for error in pooled if error.numel()]
        self.num_scored += len(data_samples)
        self.num_empty += sum(error.numel() == 0 for error in errors)

    def process_constant(self, data_batch: Batch, constant: Tensor) -> None:
        """Add a batch of which every pixel is said to be `constant`, one value a channel."""
        targets = data_batch["targets"]["target"]
        self.process(data_batch, list(constant.to(targets)[:, None, None].expand_as(targets)))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """Average batches or images with equal weight."""
        if not results:
            raise ValueError("no image has a valid pixel to score; look at the data set's mask_valid")
        return {"l1": float(np.mean(results))}

    def _valid_errors(
        self,
        prediction: Float[Tensor, "channels height width"],
        target: Float[Tensor, "channels target_height target_width"],
        valid: Bool[Tensor, "1 target_height target_width"],
    ) -> Float[Tensor, " values"]:
        """Return the absolute errors of the valid values, in float64 so that sums are exact enough."""
        if self.protocol == "standard":
            prediction = resize_map(prediction, target.shape[-2:])
        check_same_size(prediction, target, protocol=self.protocol)
        errors = (prediction.double() - target.to(prediction.device)).abs()
        return errors[valid.to(prediction.device).expand_as(errors)]


def median_targets(folder: MultiModalFolder) -> Float[Tensor, "channels"]:
    """Return each channel's median over the valid pixels of a regression's targets, to a 65535th."""
    counts: NDArray[np.int64] | None = None
    for index in range(len(folder)):
        targets = folder[index]["targets"]
        levels = (targets["target"] * FULL_SCALE).round().long()
        picked = levels[:, targets["mask_valid"][0]]
        found = np.stack([np.bincount(channel, minlength=FULL_SCALE + 1) for channel in picked.numpy()])
        counts = found if counts is None else counts + found
    assert counts is not None  # a folder is never empty
    return torch.tensor([median_of(channel) / FULL_SCALE for channel in counts])

"""What can be said of any image without looking at it: the level below which a model has learnt nothing."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.scoring import Batch, Scoring
from multimae.shapes import Float

FULL_SCALE = 2**16 - 1


class ConstantPredictor:
    """Say the same of every pixel, or of every sample.

    The constant is a class (0..C-1), a depth in millimetres, one value in [0, 1] a channel, or the scores of a sample's
    classes; the most frequent class or the median of the training images is the best without looking. `metric` must be
    fresh and of the protocol of the batches.
    """

    def __init__(self, metric: Scoring, *, constant: float | Tensor) -> None:
        self.metric = metric
        self._constant = torch.as_tensor(constant)

    def process(self, batch: Batch) -> None:
        """Score the constant on a batch."""
        self.metric.process_constant(batch, self._constant)

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the metrics over the `size` samples processed."""
        return self.metric.evaluate(size)


def most_frequent_class(folder: MultiModalFolder) -> int:
    """Return the class (0..C-1) with the most pixels."""
    counts = _histogram(folder, modality="semseg", num_values=folder.spec.num_classes + 1)
    return int(counts[1:].argmax())


def median_depth_mm(folder: MultiModalFolder) -> float:
    """Return the median over all measured pixels, in millimetres."""
    counts = _histogram(folder, modality="depth", num_values=2**16)
    counts[0] = 0
    return float(_median(counts))


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
    return torch.tensor([_median(channel) / FULL_SCALE for channel in counts])


def class_counts(folder: MultiModalFolder) -> Float[Tensor, "classes"]:
    """Count the samples of each class."""
    return torch.from_numpy(np.bincount(folder.numbers_of_classes(), minlength=len(folder.class_names))).float()


def _median(counts: NDArray[np.int64]) -> int:
    return int(np.searchsorted(counts.cumsum(), counts.sum() / 2))


def _histogram(folder: MultiModalFolder, *, modality: str, num_values: int) -> NDArray[np.int64]:
    counts = np.zeros(num_values, dtype=np.int64)
    for index in range(len(folder)):
        values = folder.stored(index, modality=modality)
        counts += np.bincount(values.ravel(), minlength=num_values)
    return counts

"""What can be said of any image without looking at it: the level below which a model has learnt nothing."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.scoring import Batch, Scoring

NUM_TRAINING_IMAGES = 200


class ConstantPredictor:
    """Say the same of every pixel, or of every sample.

    The constant is in the unit of the metric's kind, such as a class or a depth in millimetres; the most frequent class
    or the median of the training images is the best without looking. `metric` must be fresh and of the protocol of the
    batches.
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


def training_images(item: Any, *, limit: int | None = NUM_TRAINING_IMAGES, **changes: Any) -> MultiModalFolder:
    """Return the training split of what an evaluation reads; for the median of a pixel some hundred images are enough.

    `changes` are arguments of the folder.
    """
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    return MultiModalFolder(**{**described, "split": "train", "cache": "none", "limit": limit, **changes})


def median_of(counts: NDArray[np.int64]) -> int:
    """Return the median of values that are counted by value."""
    return int(np.searchsorted(counts.cumsum(), counts.sum() / 2))


class Histogram(NamedTuple):
    """Count pixels by value and, of each value, the images that have it."""

    pixels: NDArray[np.int64]
    images: NDArray[np.int64]


def histogram(folder: MultiModalFolder, *, modality: str, num_values: int) -> Histogram:
    """Count the stored values of a modality, 0 to `num_values` - 1, over all images."""
    counts = Histogram(*(np.zeros(num_values, dtype=np.int64) for _ in Histogram._fields))
    for index in range(len(folder)):
        found = np.bincount(folder.stored(index, modality=modality).ravel(), minlength=num_values)
        np.add(counts.pixels, found, out=counts.pixels)
        np.add(counts.images, found > 0, out=counts.images)
    return counts

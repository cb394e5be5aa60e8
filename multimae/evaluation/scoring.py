"""What every metric shares: results of all processes put together, maps brought to one size, constants scored alike."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

import torch
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from torch import Tensor

from multimae.shapes import Float

Protocol = Literal["paper", "standard"]
Batch = dict[str, dict[str, Any]]


class Scoring(BaseMetric):  # type: ignore[misc]  # mmengine is untyped
    """Sum up batches in `results`, in every process its own, and compute the metrics from all of them.

    mmengine gathers through a folder in the working directory and leaves out the last of too many results, which only
    holds for a list with one entry per sample, in order. Here everything is gathered, and what was scored is counted:
    `num_scored` samples, of which `num_empty` had nothing to score, such as a pixel with a depth. `counted` is the
    number of the others, in all processes, at the last `evaluate`.
    """

    default_prefix = ""
    results: list[Any]

    def __init__(self, **mmengine: Any) -> None:
        super().__init__(**mmengine)
        self.num_scored = self.num_empty = self.counted = 0

    @abstractmethod
    def process_constant(self, data_batch: Batch, constant: Tensor) -> None:
        """Add a batch of which a model says `constant`, whatever it is shown."""

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the metrics over the `size` samples of the data set and start anew."""
        parts = all_gather_object((self.num_scored, self.num_empty, self.results))
        num_scored, num_empty = (sum(part[place] for part in parts) for place in (0, 1))
        results = list(chain.from_iterable(part for _, _, part in parts))
        self.num_scored, self.num_empty, self.results = 0, 0, []
        self.counted = num_scored - num_empty
        if num_scored > size:
            raise ValueError(
                f"{num_scored} samples were scored of a data set of {size}: its sampler repeats some so that every "
                "process has as many; give it round_up=False, or score with a fresh metric"
            )
        scores: dict[str, float] = self.compute_metrics(results)
        return {f"{self.prefix}/{name}": score for name, score in scores.items()} if self.prefix else scores


def check_same_size(prediction: Tensor, target: Tensor, *, protocol: Protocol) -> None:
    """Raise unless prediction and target are maps of one size."""
    ours, theirs = (tuple(map_.shape[-2:]) for map_ in (prediction, target))
    if ours != theirs:
        raise ValueError(f"prediction is {ours}, target {theirs}; is the data's protocol {protocol!r} too?")


def resize_map(maps: Float[Tensor, "channels height width"], size: Sequence[int]) -> Tensor:
    """Resize bilinearly, in float32."""
    # Channels last: torch interpolates forty classes at once, in half the time.
    batch = maps[None].float().contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.interpolate(batch, size=tuple(size), mode="bilinear")[0]

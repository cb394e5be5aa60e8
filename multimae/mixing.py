"""Mixup and CutMix of whole batches, for one or several modalities (Zhang et al. 2018, Yun et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.shapes import Float, Int

GRID = 4
"""Boxes are aligned to this many pixels, so that they fall on whole cells of maps at a quarter of the resolution."""


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Hold mixed inputs and, per sample, shares of classes."""

    inputs: Mapping[str, Tensor]
    labels: Float[Tensor, "batch classes"]


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Mix each sample with the one opposite to it in the batch, half of the times by `cutmix`, the others by `mixup`.

    Both are parameters of Beta distributions; 0 leaves that way out. One share and one box serve all samples and all
    modalities, which stay aligned. Label maps cannot be averaged: under mixup they are taken whole from the sample with
    the larger share. `label_smoothing` spreads that much of each label evenly over all classes.
    """

    num_classes: int
    mixup: float = 0.8
    cutmix: float = 1.0
    label_smoothing: float = 0.1

    def __call__(self, inputs: Mapping[str, Tensor], *, labels: Int[Tensor, "batch"]) -> Mixed:
        share, box = self._draw(next(iter(inputs.values())), pixels=max(map_.shape[-1] for map_ in inputs.values()))
        mixed = {name: _mix(map_, share=share, box=box) for name, map_ in inputs.items()}
        soft = self._smoothed(labels)
        return Mixed(inputs=mixed, labels=share * soft + (1 - share) * soft.flip(0))

    def _draw(self, maps: Tensor, *, pixels: int) -> tuple[float, "Box | None"]:
        """Return how much of each sample stays itself, and the box that does not, None for mixup."""
        ways = [name for name, strength in (("mixup", self.mixup), ("cutmix", self.cutmix)) if strength > 0]
        if not ways:
            return 1.0, None
        way = ways[int(torch.randint(len(ways), ()))]
        strength = self.mixup if way == "mixup" else self.cutmix
        share = float(torch.distributions.Beta(strength, strength).sample())
        if way == "mixup":
            return share, None
        height = round(pixels * maps.shape[-2] / maps.shape[-1])
        box = _draw_box(height, pixels, area=1 - share)
        # The box was cut off at the border and rounded: the labels follow what is really there.
        return 1 - box.height * box.width, box

    def _smoothed(self, labels: Int[Tensor, "batch"]) -> Float[Tensor, "batch classes"]:
        sharp = F.one_hot(labels, self.num_classes).float()
        return sharp * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes


@dataclass(frozen=True, kw_only=True)
class Box:
    """Bound a rectangle in shares of the height and the width."""

    top: float
    left: float
    height: float
    width: float

    def slices(self, map_: Tensor) -> tuple[slice, slice]:
        rows, columns = map_.shape[-2:]
        return (
            slice(round(self.top * rows), round((self.top + self.height) * rows)),
            slice(round(self.left * columns), round((self.left + self.width) * columns)),
        )


def _draw_box(height: int, width: int, *, area: float) -> Box:
    """Put the centre anywhere and cut the box off at the borders, as CutMix does."""
    spans = []
    for length in (height, width):
        half = area**0.5 * length / 2
        centre = float(torch.rand(())) * length
        start, end = (round(edge / GRID) * GRID for edge in (max(0.0, centre - half), min(length, centre + half)))
        spans.append((start / length, (end - start) / length))
    (top, box_height), (left, box_width) = spans
    return Box(top=top, left=left, height=box_height, width=box_width)


def _mix(map_: Tensor, *, share: float, box: Box | None) -> Tensor:
    other = map_.flip(0)
    if box is None:
        if map_.is_floating_point():
            return share * map_ + (1 - share) * other
        return map_ if share >= 0.5 else other
    rows, columns = box.slices(map_)
    mixed = map_.clone()
    mixed[..., rows, columns] = other[..., rows, columns]
    return mixed

"""Mixup and CutMix of whole batches, for one or several modalities (Zhang et al. 2018, Yun et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.shapes import Float, Int


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Hold mixed inputs and, per sample, shares of classes."""

    inputs: Mapping[str, Tensor]
    labels: Float[Tensor, "batch classes"]


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Mix each sample with the one opposite to it in the batch, half of the times by `cutmix`, the others by `mixup`.

    A batch is what a device holds at a time: its share is drawn anew for every micro-batch of an optimizer step.

    Both are parameters of Beta distributions; 0 leaves that way out. One share and one box serve all samples and all
    modalities, which stay aligned: a box consists of whole pixels of the coarsest map. Label maps cannot be averaged:
    under mixup they are taken whole from the sample with the larger share. `label_smoothing` spreads that much of each
    label evenly over all classes.
    """

    num_classes: int
    mixup: float = 0.8
    cutmix: float = 1.0
    label_smoothing: float = 0.1

    def __call__(self, inputs: Mapping[str, Tensor], *, labels: Int[Tensor, "batch"]) -> Mixed:
        rows, columns = min((map_.shape[-2:] for map_ in inputs.values()), key=min)
        share, box = self._draw((rows, columns))
        mixed = {name: _mix(map_, share=share, box=box) for name, map_ in inputs.items()}
        soft = self._smoothed(labels)
        return Mixed(inputs=mixed, labels=share * soft + (1 - share) * soft.flip(0))

    def _draw(self, grid: tuple[int, int]) -> tuple[float, "Box | None"]:
        """Return how much of each sample stays itself, and the box that does not, None for mixup."""
        ways = [name for name, strength in (("mixup", self.mixup), ("cutmix", self.cutmix)) if strength > 0]
        if not ways:
            return 1.0, None
        way = ways[int(torch.randint(len(ways), ()))]
        strength = self.mixup if way == "mixup" else self.cutmix
        share = float(torch.distributions.Beta(strength, strength).sample())
        if way == "mixup":
            return share, None
        box = _draw_box(grid, area=1 - share)
        # The box was cut off at the border and rounded: the labels follow what is really there.
        return 1 - box.area, box

    def _smoothed(self, labels: Int[Tensor, "batch"]) -> Float[Tensor, "batch classes"]:
        sharp = F.one_hot(labels, self.num_classes).float()
        return sharp * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes


@dataclass(frozen=True, kw_only=True)
class Box:
    """Bound a rectangle in cells of a grid of (rows, columns), ends excluded."""

    grid: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def area(self) -> float:
        """Return its share of the grid."""
        (top, bottom), (left, right) = self.rows, self.columns
        return (bottom - top) * (right - left) / (self.grid[0] * self.grid[1])

    def slices(self, map_: Tensor) -> tuple[slice, slice]:
        """Return where it lies in a map that has one or several pixels per cell and axis."""
        by_row, by_column = (length // cells for length, cells in zip(map_.shape[-2:], self.grid, strict=True))
        return (
            slice(self.rows[0] * by_row, self.rows[1] * by_row),
            slice(self.columns[0] * by_column, self.columns[1] * by_column),
        )


def _draw_box(grid: tuple[int, int], *, area: float) -> Box:
    """Put the centre on any cell and cut the box off at the borders, as timm does (0.4, which the reference uses)."""
    spans = []
    for cells in grid:
        half = int(cells * area**0.5) // 2
        centre = int(torch.randint(cells, ()))
        spans.append((max(0, centre - half), min(cells, centre + half)))
    return Box(grid=grid, rows=spans[0], columns=spans[1])


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

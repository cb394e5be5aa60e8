"""Ways to show an image to a model: whole or in windows, as it is or mirrored too, with all answers averaged."""

from collections.abc import Callable, Mapping
from itertools import product
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from multimae.layers import Grid
from multimae.shapes import Float
from multimae.tables.modalities import MODALITIES

Inputs = Mapping[str, Tensor]
Forward = Callable[[Inputs], Tensor]
Inference = Literal["whole", "slide"]
Flip = Literal["none", "average"]


def slide(inputs: Inputs, *, forward: Forward, grid: Grid, window: int) -> Float[Tensor, "batch outputs height width"]:
    """Average what `forward` says of square windows, pixel by pixel, in float32.

    `grid` counts the patches of the inputs, `window` those of a window's side; a shorter side is covered by one window.
    Windows advance by two thirds of their side, whole patches; the last ones are moved back to end at the border
    (mmsegmentation's `slide` mode, but for the whole patches: 336 instead of 341 pixels at 512).
    """
    side = Grid(min(window, grid.height), min(window, grid.width))
    corners = tuple(product(_starts(grid.height, window), _starts(grid.width, window)))
    answers = [forward(_cut(inputs, grid=grid, corner=corner, side=side)).float() for corner in corners]
    batch, outputs, *size = answers[0].shape
    if len(size) != 2:
        raise ValueError(
            f"inference='slide' averages maps, but the head answers vectors of {outputs} values: use 'whole'"
        )
    pixels = size[0] // side.height  # of a patch's side
    total = answers[0].new_zeros(batch, outputs, grid.height * pixels, grid.width * pixels)
    count = torch.zeros_like(total[0, 0])
    for (top, left), answer in zip(corners, answers, strict=True):
        box = (..., _pixels(top, side.height, size=pixels), _pixels(left, side.width, size=pixels))
        total[box] += answer
        count[box] += 1
    return total / count


def average_flipped(inputs: Inputs, *, forward: Forward, target: str = "") -> Float[Tensor, "batch outputs *map"]:
    """Average the answers to an image and to its mirror image, mirrored back; padding on the right is on the left then.

    `target`: the modality predicted as shares of its full scale, which matters for normals alone: their x turns around.
    """
    mirrored = forward({name: _mirror_input(name, map_) for name, map_ in inputs.items()}).float()
    if mirrored.ndim == 4:
        mirrored = mirrored.flip(-1)
    if _are_normals(target):
        mirrored = torch.cat([1 - mirrored[:, :1], mirrored[:, 1:]], dim=1)
    return (forward(inputs).float() + mirrored) / 2


def _starts(length: int, window: int) -> list[int]:
    stride = max(1, 2 * window // 3)
    last = max(0, length - window)
    return [min(step * stride, last) for step in range(ceil(last / stride) + 1)]


def _cut(inputs: Inputs, *, grid: Grid, corner: tuple[int, int], side: Grid) -> dict[str, Tensor]:
    """Cut a box of patches out of every map; label maps have fewer pixels a patch than images."""
    top, left = corner
    windows = {}
    for name, map_ in inputs.items():
        pixels = map_.shape[-1] // grid.width
        windows[name] = map_[..., _pixels(top, side.height, size=pixels), _pixels(left, side.width, size=pixels)]
    return windows


def _pixels(start: int, length: int, *, size: int) -> slice:
    """Turn patches along one side, each of `size` pixels, into pixels."""
    return slice(start * size, (start + length) * size)


def _mirror_input(name: str, map_: Tensor) -> Tensor:
    flipped = map_.flip(-1)
    # Their encoding has x in [-1, 1], and 0 where one is missing.
    return torch.cat([-flipped[:, :1], flipped[:, 1:]], dim=1) if _are_normals(name) else flipped


def _are_normals(name: str) -> bool:
    return name in MODALITIES and MODALITIES[name].kind == "normals"

"""Colour changes of 8-bit images in OpenCV's arithmetic, the one the reference's fine-tunings use (albumentations 1.1).

Torchvision's formulas are the same but for rounding, up to one level, and for hue, which OpenCV turns in steps of two
degrees; on a CPU they take nine times as long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]
HUE_STEPS = 180
"""Of a full turn, in OpenCV's 8 bits."""


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Change brightness, contrast, saturation and hue, in random order.

    The first three are multiplied by a factor within that much of 1, hue is turned by up to that share of a full turn.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float

    def __call__(self, rgb: Tensor) -> Tensor:
        steps: tuple[tuple[Callable[..., Pixels], float], ...] = (
            (scale_brightness, _factor(self.brightness)),
            (scale_contrast, _factor(self.contrast)),
            (scale_saturation, _factor(self.saturation)),
            (turn_hue, (2 * _random() - 1) * self.hue),
        )
        pixels = _pixels(rgb)
        for index in torch.randperm(len(steps)).tolist():
            step, amount = steps[index]
            pixels = step(pixels, amount)
        return _planes(pixels)


def to_grey(rgb: Tensor) -> Tensor:
    """Return the image without its colours, still of three channels."""
    return _planes(_in_three_channels(_grey(_pixels(rgb))))


def scale_brightness(pixels: Pixels, factor: float) -> Pixels:
    """Multiply every level; fractions are cut off."""
    return _looked_up(pixels, np.arange(256) * factor)


def scale_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Multiply what differs from the mean grey level; fractions are cut off."""
    mean = float(_grey(pixels).mean())
    return _looked_up(pixels, np.arange(256) * factor + mean * (1 - factor))


def scale_saturation(pixels: Pixels, factor: float) -> Pixels:
    """Multiply what differs from the pixel's own grey level, rounded."""
    return _eight_bits(cv2.addWeighted(pixels, factor, _in_three_channels(_grey(pixels)), 1 - factor, 0))


def turn_hue(pixels: Pixels, share: float) -> Pixels:
    """Turn the hue by a share of a full turn, in steps of two degrees."""
    if share == 0:
        return pixels  # the way to hue and back costs a few levels
    coloured = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    turned = np.mod(np.arange(256) + HUE_STEPS * share, HUE_STEPS)
    coloured[..., 0] = _looked_up(_eight_bits(coloured[..., 0]), turned)
    return _eight_bits(cv2.cvtColor(coloured, cv2.COLOR_HSV2RGB))


def _grey(pixels: Pixels) -> Pixels:
    return _eight_bits(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def _in_three_channels(grey: Pixels) -> Pixels:
    return _eight_bits(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def _looked_up(pixels: Pixels, table: NDArray[Any]) -> Pixels:
    return _eight_bits(cv2.LUT(pixels, table.clip(0, 255).astype(np.uint8)))


def _factor(spread: float) -> float:
    return max(0.0, 1 - spread) + _random() * (1 + spread - max(0.0, 1 - spread))


def _random() -> float:
    return torch.rand(()).item()


def _pixels(rgb: Tensor) -> Pixels:
    # [3, height, width] -> [height, width, 3]: how images lie in memory when they come from a file
    return np.ascontiguousarray(rgb.as_subclass(Tensor).permute(1, 2, 0).numpy())


def _planes(pixels: Pixels) -> Tensor:
    # [height, width, 3] -> [3, height, width]
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _eight_bits(array: Any) -> Pixels:
    """Tell the type checker what OpenCV's own signatures leave open."""
    assert array.dtype == np.uint8
    return np.asarray(array, dtype=np.uint8)

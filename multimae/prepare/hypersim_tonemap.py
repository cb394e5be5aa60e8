"""Hypersim's tone mapping: the 90th percentile of brightness becomes 0.8 after a gamma of 1/2.2.

As its tool scene_generate_images_tonemap.py does (Roberts et al., 2021), which made the published previews.
"""

import numpy as np
from numpy.typing import NDArray

GAMMA = 1 / 2.2
PERCENTILE, BRIGHTNESS_THERE = 90, 0.8
DARKEST = 0.0001
LUMA = (0.3, 0.59, 0.11)


def tone_mapped(radiance: NDArray[np.float32], *, rendered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 8-bit colour [height, width, 3]; brightness is taken where something was `rendered`.

    What is no number becomes black and does not count; infinitely bright is white.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        brightness = radiance @ np.array(LUMA, dtype=np.float32)
        scale = _scale(brightness[rendered & ~np.isnan(brightness)])
        mapped = np.maximum(radiance * np.float32(scale), 0) ** np.float32(GAMMA)
    codes: NDArray[np.uint8] = np.rint(np.nan_to_num(mapped, nan=0.0, posinf=1.0).clip(0, 1) * 255).astype(np.uint8)
    return codes


def _scale(brightness: NDArray[np.float32]) -> float:
    if brightness.size == 0:
        return 1.0
    now = float(np.percentile(brightness, PERCENTILE))
    return 0.0 if now < DARKEST else float(BRIGHTNESS_THERE ** (1 / GAMMA) / now)

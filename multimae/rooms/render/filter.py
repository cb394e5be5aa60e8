"""Take the noise out of sampled light: an edge-avoiding à-trous wavelet filter guided by exact surfaces.

Dammertz et al., "Edge-Avoiding À-Trous Wavelet Transform for fast Global Illumination Filtering", HPG 2010.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
KERNEL = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)
FLOOR = 0.03
LEVELS = 4
CONTRAST = 3.0


def smooth_light(
    *, light: Image, reflectance: Image, position: Image, normal: Image, labels: NDArray[np.uint8]
) -> Image:
    """Smooth the light that falls on surfaces, then let it reflect from them: textures stay sharp.

    Two pixels share light where one's position lies in the other's plane, their normals agree and so do their classes.
    """
    base = reflectance + FLOOR
    falling = _without_sparks(light / base)
    plane_tolerance = 0.01 * float(np.linalg.norm(position, axis=-1).mean())
    for level in range(LEVELS):
        guides = np.concatenate([position, normal, labels[..., None], _tone(falling)[..., None]], axis=-1)
        contrast_tolerance = CONTRAST / 2**level
        total, weights = np.zeros_like(falling), np.zeros((*labels.shape, 1))
        for share, there in _neighbours(np.concatenate([falling, guides], axis=-1), step=2**level):
            off_plane = np.abs(((there[..., 3:6] - position) * normal).sum(-1)) / plane_tolerance
            contrast = np.abs(there[..., 10] - guides[..., 7]) / contrast_tolerance
            bend = np.clip((there[..., 6:9] * normal).sum(-1), 0, 1) ** 32
            weight = (share * bend * np.exp(-off_plane - contrast) * (there[..., 9] == labels))[..., None]
            total += weight * there[..., :3]
            weights += weight
        falling = total / weights
    return falling * base


def _neighbours(image: Image, *, step: int) -> Iterator[tuple[float, Image]]:
    """Yield the 25 copies of an image shifted by up to two steps, borders repeated, with their shares."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((2 * step, 2 * step), (2 * step, 2 * step), (0, 0)), mode="edge")
    for row, row_share in enumerate(KERNEL):
        for column, column_share in enumerate(KERNEL):
            yield row_share * column_share, padded[row * step :, column * step :][:height, :width]


def _tone(image: Image) -> Image:
    return np.asarray(np.log(image.mean(axis=-1) + 1e-3), dtype=np.float64)


def _without_sparks(image: Image) -> Image:
    """Cap single pixels that are far brighter than all but two of their neighbours."""
    tone = image.mean(axis=-1, keepdims=True)
    around = np.stack([there for _, there in _neighbours(tone, step=1)])
    cap = 1.5 * np.sort(around, axis=0)[-6] + 1e-3
    return np.asarray(image * np.minimum(1.0, cap / np.maximum(tone, 1e-9)), dtype=np.float64)

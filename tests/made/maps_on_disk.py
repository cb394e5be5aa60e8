"""Maps read without the code under test, and how far stored normals are from those of the depth."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(path: Path) -> NDArray[np.integer]:
    with Image.open(path) as image:
        return np.array(image)


def normals_from_depth(depth_m: NDArray[np.floating], *, field_of_view: float) -> NDArray[np.floating]:
    """Cross the differences between back-projected neighbours; x right, y up, z towards the viewer."""
    height, width = depth_m.shape
    focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
    x = (np.arange(width) + 0.5 - width / 2) / focal * depth_m
    y = -(np.arange(height)[:, None] + 0.5 - height / 2) / focal * depth_m
    points = np.stack([x, y, -depth_m], -1)
    normal = np.cross(np.gradient(points, axis=1), -np.gradient(points, axis=0))
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def flat_places(labels: NDArray[np.generic], stored: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Mark pixels whose neighbours within two pixels have the same class and normal."""
    flat = np.ones(labels.shape, dtype=bool)
    for down in range(-2, 3):
        for across in range(-2, 3):
            flat &= np.roll(labels, (down, across), (0, 1)) == labels
            flat &= (np.roll(stored, (down, across), (0, 1)) * stored).sum(-1) > 0.999
    flat[[0, 1, -2, -1]] = flat[:, [0, 1, -2, -1]] = False
    return flat


def angle_off(
    depth_m: NDArray[np.floating], labels: NDArray[np.generic], stored: NDArray[np.floating], *, field_of_view: float
) -> float:
    """Return the 90th percentile of the degrees between stored normals and those of the depth, on flat places."""
    stored = stored / np.linalg.norm(stored, axis=-1, keepdims=True)
    cosine = (normals_from_depth(depth_m, field_of_view=field_of_view) * stored).sum(-1)
    return float(np.quantile(np.degrees(np.arccos(np.clip(cosine[flat_places(labels, stored)], -1, 1))), 0.9))

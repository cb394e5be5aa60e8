"""The cameras of Hypersim: from distances to the optical centre, as published, to planar depth."""

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimae.data.sample import DataError

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
# 60 degrees wide, square pixels, 1024x768: a focal length of 886.81 pixels.
STANDARD: Matrix = ((0.5773502691896257, 0.0, 0.0), (0.0, 0.4330127018922193, 0.0), (0.0, 0.0, -1.0))


def read_cameras(path: Path) -> Mapping[str, Matrix]:
    """Return each scene's M_cam_from_uv: from (u, v, 1) to a ray in the camera's space, which looks along -z.

    u goes from -1 at the left edge to 1, v from -1 at the bottom to 1.
    """
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return {row["scene_name"]: _matrix(row) for row in csv.DictReader(file)}
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"{path}: {error!r}; wanted the columns scene_name and M_cam_from_uv_00 to M_cam_from_uv_22 with "
                "numbers; take the file from the data set's repository again"
            ) from error


@lru_cache(maxsize=4)  # a worker goes through scene after scene
def planar_share(camera: Matrix, *, height: int, width: int) -> NDArray[np.float32]:
    """Return, for each pixel, what share of its distance to the optical centre is depth along the camera's axis."""
    u = (np.arange(width) + 0.5) / width * 2 - 1
    v = 1 - (np.arange(height) + 0.5) / height * 2
    # [3, 3] x [height, width, 3] -> [height, width, 3]
    uv1 = np.stack([*np.meshgrid(u, v), np.ones((height, width))], axis=-1)
    rays = uv1 @ np.array(camera).T
    share: NDArray[np.float32] = (-rays[..., 2] / np.linalg.norm(rays, axis=-1)).astype(np.float32)
    return share


def _matrix(row: Mapping[str, str]) -> Matrix:
    first, second, third = (
        (
            float(row[f"M_cam_from_uv_{line}0"]),
            float(row[f"M_cam_from_uv_{line}1"]),
            float(row[f"M_cam_from_uv_{line}2"]),
        )
        for line in range(3)
    )
    return first, second, third

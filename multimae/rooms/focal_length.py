"""The focal length of a camera, from depth and normals alone: frames of rooms do not say which camera took them."""

import numpy as np
from numpy.typing import NDArray

from multimae.rooms.surfaces import WAYS, Way, rays
from multimae.shapes import Bool, Float

Array = NDArray[np.float64]

ENOUGH = 80
"""Pixels of a row that are looked at, and as many of each part of a column; more find the same."""
STEP = 3
"""How many of those pixels lie between the ones that are compared."""
FLAT, SAME_NORMAL = 1e-3, 1e-3
"""By how much, in shares of nearness and in components of normals, three pixels of one plane may differ."""
LEAST_SLANT = 1e-3


def focal_length(
    *,
    depth_m: Float[Array, "height width"],
    normal: Float[Array, "height width 3"],
    valid: Bool[NDArray[np.bool_], "height width"],
) -> float:
    """Return the focal length, in pixels, of which planes are planes: within 2 percent from 8-bit normals, mostly 0.3.

    What lies in a plane is at right angles to its normal. For two of its points z (x/f, y/f, -1) that is linear in 1/f,
    so every three pixels in a row on a plane have a vote.
    """
    height, width = depth_m.shape
    some = np.s_[:: max(1, width // ENOUGH), :: max(1, width // ENOUGH)]
    points = rays(height, width, focal=1.0)[some] * depth_m[some][..., None]
    nearness = 1 / np.where(valid, depth_m, np.nan)[some]
    votes = [_votes(nearness, normal=normal[some], points=points, way=way) for way in WAYS]
    sideways, forward = (np.concatenate(part) for part in zip(*votes, strict=True))
    slanted = np.abs(sideways) > LEAST_SLANT * width
    if not slanted.any():
        raise ValueError("no plane in this view is seen at a slant, so its focal length cannot be found; give it")
    return 1 / _weighted_median(forward[slanted] / sideways[slanted], weights=np.abs(sideways[slanted]))


def _votes(
    nearness: Float[Array, "height width"],
    *,
    normal: Float[Array, "height width 3"],
    points: Float[Array, "height width 3"],
    way: Way,
) -> tuple[Float[Array, "votes"], Float[Array, "votes"]]:
    """Return what is to be divided by the focal length, and what it then equals."""
    near, far, middle = (_in_a_row(map_, way=way) for map_ in (nearness, points, normal))
    # 1/z is linear in the image of a plane. What is invalid is NaN, which compares as false.
    flat = np.abs(near[0] - 2 * near[1] + near[2]) < FLAT * near[1]
    flat &= np.maximum(np.abs(middle[0] - middle[1]), np.abs(middle[2] - middle[1])).max(-1) < SAME_NORMAL
    products = ((far[2] - far[0]) * middle[1])[flat]
    return products[:, 0] + products[:, 1], -products[:, 2]


def _in_a_row(map_: Array, *, way: Way) -> tuple[Array, Array, Array]:
    """Return the first, middle and last of every three pixels that lie `STEP` apart."""
    if way == "across":
        return map_[:, : -2 * STEP], map_[:, STEP:-STEP], map_[:, 2 * STEP :]
    return map_[: -2 * STEP], map_[STEP:-STEP], map_[2 * STEP :]


def _weighted_median(values: Float[Array, "votes"], *, weights: Float[Array, "votes"]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])

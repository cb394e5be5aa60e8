"""What exact depth and normals say of the surfaces in a view: how they slope, where they go on, where they break off.

The camera looks along -z, x to the right, y up; its principal point is the middle of the image, its pixels are square.
Pairs are (across, down): of neighbours, between a pixel and the next in its row, and in its column.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from multimae.shapes import Bool, Float

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Way = Literal["across", "down"]
WAYS: tuple[Way, Way] = ("across", "down")

GRAZING = 0.05
"""Cosine of the flattest view of a surface that is believed: beyond, 8-bit normals say nothing of its slope."""
ROUNDING = 0.01
"""Break in log depth that rounding to millimetres and to 8-bit normals can make up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surfaces:
    """Hold the surface that each pixel shows.

    `depth_m` is measured along the optical axis; where not `valid`, it and the normal mean nothing. Normals are unit
    vectors that point to the viewer's side. `focal` is in pixels.
    """

    depth_m: Float[Array, "height width"]
    normal: Float[Array, "height width 3"]
    valid: Bool[Flags, "height width"]
    focal: float

    @cached_property
    def rays(self) -> Float[Array, "height width 3"]:
        """Give the direction r of each pixel's centre, its z being -1: times depth, it is the point."""
        height, width = self.depth_m.shape
        return rays(height, width, focal=self.focal)

    @cached_property
    def cosine(self) -> Float[Array, "height width"]:
        """Give the cosine of the angle between each normal and the way to the camera."""
        return -dot(self.normal, self.rays) / np.sqrt(dot(self.rays, self.rays))

    @cached_property
    def slopes(self) -> tuple[Float[Array, "height width"], Float[Array, "height width"]]:
        """Give by how much log depth changes from a pixel to the next on its own tangent plane.

        With p = z r and n·p the same all over the plane, d log z = -n·dr / n·r.
        """
        towards = np.maximum(self.cosine, GRAZING) * np.sqrt(dot(self.rays, self.rays)) * self.focal
        return self.normal[..., 0] / towards, -self.normal[..., 1] / towards

    @cached_property
    def tangents(self) -> tuple[Float[Array, "height width 3"], Float[Array, "height width 3"]]:
        """Give how far, in metres, the point moves on its tangent plane from a pixel to the next."""
        right, down = np.eye(3)[0] / self.focal, -np.eye(3)[1] / self.focal
        across, along = (
            self.depth_m[..., None] * (step + slope[..., None] * self.rays)
            for step, slope in zip((right, down), self.slopes, strict=True)
        )
        return across, along

    @cached_property
    def breaks(self) -> tuple[Float[Array, "height pairs_across"], Float[Array, "pairs_down width"]]:
        """Give the break in log depth between neighbours: above 0 where the second is behind.

        Both tangent planes are followed to the middle. Where they are tilted against each other they may meet anywhere
        between the two pixels, which explains half the difference of their slopes: a crease is no break.
        """
        across, down = (self._broken(slope, way=way) for slope, way in zip(self.slopes, WAYS, strict=True))
        return across, down

    @cached_property
    def goes_on(self) -> tuple[Bool[Flags, "height pairs_across"], Bool[Flags, "pairs_down width"]]:
        """Say between which neighbours the surface goes on, perhaps with a crease."""
        across, down = (
            first(self.valid, way=way) & second(self.valid, way=way) & (broken == 0)
            for broken, way in zip(self.breaks, WAYS, strict=True)
        )
        return across, down

    def _broken(self, slope: Float[Array, "height width"], *, way: Way) -> Float[Array, "rows columns"]:
        depth = np.log(np.where(self.valid, self.depth_m, 1.0))
        before, after = first(slope, way=way), second(slope, way=way)
        gap = second(depth, way=way) - first(depth, way=way) - (before + after) / 2
        left = np.sign(gap) * np.maximum(np.abs(gap) - np.abs(after - before) / 2 - ROUNDING, 0.0)
        known = first(self.valid, way=way) & second(self.valid, way=way)
        return np.where(known, left, 0.0)


def without_holes(surfaces: Surfaces) -> Surfaces:
    """Give every pixel that is not valid the depth and normal of the nearest valid one."""
    if surfaces.valid.all():
        return surfaces
    if not surfaces.valid.any():
        raise ValueError("no pixel of this view is valid; leave the frame out")
    rows, columns = distance_transform_edt(~surfaces.valid, return_distances=False, return_indices=True)
    return replace(surfaces, depth_m=surfaces.depth_m[rows, columns], normal=surfaces.normal[rows, columns])


def rays(height: int, width: int, *, focal: float) -> Float[Array, "height width 3"]:
    """Return the direction of each pixel's centre, its z being -1."""
    directions = np.full((height, width, 3), -1.0)
    directions[..., 0] = (np.arange(width) - (width - 1) / 2) / focal
    directions[..., 1] = -(np.arange(height)[:, None] - (height - 1) / 2) / focal
    return directions


def dot(one: Float[Array, "height width 3"], other: Float[Array, "height width 3"]) -> Float[Array, "height width"]:
    """Return the inner product at each pixel; ten times as fast as multiplying and summing."""
    return np.asarray(np.einsum("hwc,hwc->hw", one, other), dtype=np.float64)


def first(map_: Any, *, way: Way) -> Any:
    """Return a view of the left, or upper, one of each pair of neighbours."""
    return map_[:, :-1] if way == "across" else map_[:-1]


def second(map_: Any, *, way: Way) -> Any:
    """Return a view of the right, or lower, one of each pair of neighbours."""
    return map_[:, 1:] if way == "across" else map_[1:]


def sides(between: Array, *, way: Way) -> tuple[Array, Array]:
    """Return for each pixel what is between it and the one before, and the one after; 0 at the border."""
    axis = 1 if way == "across" else 0
    padded = np.pad(between, [(1, 1) if number == axis else (0, 0) for number in range(between.ndim)])
    return first(padded, way=way), second(padded, way=way)

"""What a piece of furniture is: labelled parts, the floor it needs and the places where things can stand on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multimae.rooms.render.mesh import Geometry, Vector
from multimae.rooms.render.textures import Material


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Give a mesh its class and its material."""

    label: str
    material: Material
    geometry: Geometry


@dataclass(frozen=True, kw_only=True)
class Top:
    """Mark a free rectangle, `width` by `depth` around `at`, where small things may stand."""

    at: Vector
    width: float
    depth: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Hold a thing on the floor: its middle at the origin, its front towards -y; `size` is width, depth, height."""

    parts: tuple[Part, ...]
    size: Vector
    tops: tuple[Top, ...] = ()


def placed(parts: Sequence[Part], *, by: Vector, turn: float = 0.0) -> tuple[Part, ...]:
    """Turn parts about the z axis (radians), then shift them."""
    return tuple(
        Part(label=part.label, material=part.material, geometry=part.geometry.moved(by=by, turn=turn)) for part in parts
    )


def turned_size(size: Vector, *, turn: float) -> Vector:
    """Measure the upright box around something of `size` after a turn about the z axis."""
    c, s = abs(float(np.cos(turn))), abs(float(np.sin(turn)))
    return size[0] * c + size[1] * s, size[0] * s + size[1] * c, size[2]

"""Shapes that furniture is made of: triangle meshes with exact normals and texture coordinates in metres."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """Hold a triangle mesh; lengths and texture coordinates are in metres unless a shape says otherwise."""

    vertices: Array
    normals: Array
    uv: Array
    faces: NDArray[np.int64]

    def moved(self, *, by: Vector = (0.0, 0.0, 0.0), turn: float = 0.0, tilt: float = 0.0) -> "Geometry":
        """Tilt about the x axis, turn about the z axis (radians), then shift."""
        rotation = _rotation(turn=turn, tilt=tilt)
        return Geometry(
            vertices=self.vertices @ rotation.T + np.asarray(by),
            normals=self.normals @ rotation.T,
            uv=self.uv,
            faces=self.faces,
        )


def joined(geometries: Sequence[Geometry]) -> Geometry:
    """Put several meshes into one."""
    starts = np.cumsum([0, *(len(geometry.vertices) for geometry in geometries[:-1])])
    return Geometry(
        vertices=np.concatenate([geometry.vertices for geometry in geometries]),
        normals=np.concatenate([geometry.normals for geometry in geometries]),
        uv=np.concatenate([geometry.uv for geometry in geometries]),
        faces=np.concatenate([geometry.faces + start for geometry, start in zip(geometries, starts, strict=True)]),
    )


def box(*, size: Vector, at: Vector = (0.0, 0.0, 0.0), texture: Literal["metres", "fill"] = "metres") -> Geometry:
    """Make a box that stands on `at`, the middle of its underside; "fill" stretches one bitmap over each side."""
    half = np.array(size) / 2
    sides = []
    for axis in range(3):
        u, v = _axes_of_side(axis)
        for sign in (-1.0, 1.0):
            corners = np.zeros((4, 3))
            corners[:, axis] = sign * half[axis]
            corners[:, u] = half[u] * np.array([-1, 1, 1, -1])
            corners[:, v] = half[v] * np.array([-1, -1, 1, 1])
            normals = np.zeros((4, 3))
            normals[:, axis] = sign
            uv = corners[:, (u, v)] if texture == "metres" else np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
            sides.append(_mesh(corners, normals, uv, np.array([[0, 1, 2], [0, 2, 3]])))
    return joined(sides).moved(by=(at[0], at[1], at[2] + half[2]))


def rounded_box(*, size: Vector, radius: float, at: Vector = (0.0, 0.0, 0.0), steps: int = 4) -> Geometry:
    """Make a box with edges rounded to `radius`, standing on `at`: mattresses, cushions, arm rests."""
    half = np.array(size) / 2
    radius = min(radius, *(0.98 * half))
    inner = half - radius
    bend = np.tan(np.linspace(0, np.pi / 4, steps + 1))
    sides = []
    for axis in range(3):
        u, v = _axes_of_side(axis)
        lines = [np.concatenate([-inner[a] - radius * bend[::-1], inner[a] + radius * bend]) for a in (u, v)]
        grid_u, grid_v = np.meshgrid(*lines, indexing="ij")
        for sign in (-1.0, 1.0):
            surface = np.zeros((*grid_u.shape, 3))
            surface[..., axis] = sign * half[axis]
            surface[..., u], surface[..., v] = grid_u, grid_v
            core = np.clip(surface, -inner, inner)
            normals = surface - core
            normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
            points = core + radius * normals
            sides.append(_grid(points, normals=normals, uv=np.stack([grid_u, grid_v], -1)))
    return joined(sides).moved(by=(at[0], at[1], at[2] + half[2]))


def lathe(
    profile: Sequence[tuple[float, float]],
    *,
    at: Vector = (0.0, 0.0, 0.0),
    segments: int = 20,
    edges: Literal["sharp", "smooth"] = "sharp",
) -> Geometry:
    """Turn a profile of (radius, height) points about the z axis; points go up along the outside."""
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    outline = np.array(profile, dtype=np.float64)
    across = np.diff(outline, axis=0)
    along_normals = np.stack([across[:, 1], -across[:, 0]], -1)
    along_normals /= np.maximum(np.linalg.norm(along_normals, axis=1, keepdims=True), 1e-9)
    if edges == "smooth":
        corner = np.concatenate([along_normals[:1], along_normals[:-1] + along_normals[1:], along_normals[-1:]])
        corner /= np.maximum(np.linalg.norm(corner, axis=1, keepdims=True), 1e-9)
        return _turned(outline, corner, angles).moved(by=at)
    bands = [
        _turned(np.stack(ends), np.stack([normal, normal]), angles)
        for ends, normal in zip(pairwise(outline), along_normals, strict=True)
    ]
    return joined(bands).moved(by=at)


def cylinder(*, radius: float, height: float, at: Vector = (0.0, 0.0, 0.0), top: float | None = None) -> Geometry:
    """Make an upright cylinder, or a cone cut off at radius `top`, standing on `at`."""
    upper = radius if top is None else top
    return lathe([(0.0, 0.0), (radius, 0.0), (upper, height), (0.0, height)], at=at, segments=16)


def ellipsoid(*, size: Vector, at: Vector = (0.0, 0.0, 0.0), lower: float = -1.0, upper: float = 1.0) -> Geometry:
    """Make an ellipsoid, or the slice of it between heights `lower` and `upper` (-1 to 1), centred on `at`."""
    heights = np.sin(np.linspace(np.arcsin(lower), np.arcsin(upper), 11))
    ball = lathe([(float(np.sqrt(max(0.0, 1 - z * z))), float(z)) for z in heights], edges="smooth")
    half = np.array(size) / 2
    normals = ball.normals / half
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return _mesh(ball.vertices * half + np.array(at), normals, ball.uv * half[0], ball.faces)


def pillow(*, size: Vector, at: Vector = (0.0, 0.0, 0.0), steps: int = 10) -> Geometry:
    """Make a stuffed cushion lying on `at`: thick in the middle, pinched at its seams."""
    line = np.sin(np.linspace(-np.pi / 2, np.pi / 2, steps + 1))
    u, v = np.meshgrid(line, line, indexing="ij")
    swell = ((1 - u**2) * (1 - v**2)) ** 0.35
    pinch = 1 - 0.06 * (u**2 + v**2 - 2 * u**2 * v**2)
    shape = np.stack([u * pinch * size[0] / 2, v * pinch * size[1] / 2, swell * size[2] / 2], -1)
    top, bottom = sheet(shape), sheet(shape * np.array([1.0, 1.0, -1.0]))
    return joined([top, bottom]).moved(by=(at[0], at[1], at[2] + size[2] / 2))


def sheet(points: Array) -> Geometry:
    """Span a smooth surface over a grid of points (rows, columns, 3)."""
    along = np.gradient(points, axis=0)
    across = np.gradient(points, axis=1)
    normals = np.cross(along, across)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), np.array([0.0, 0.0, 1.0]))
    return _grid(points, normals=normals, uv=points[..., :2])


def surface(
    function: Callable[[Array, Array], tuple[ArrayLike, ArrayLike, ArrayLike]], *, rows: int, columns: int
) -> Geometry:
    """Span a smooth surface x, y, z = function(u, v) with u and v from 0 to 1."""
    u, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    x, y, z = (np.broadcast_to(np.asarray(axis, dtype=np.float64), u.shape) for axis in function(u, v))
    return sheet(np.stack([x, y, z], -1))


def rectangle(*, width: float, height: float, at: Vector, texture: Literal["metres", "fill"] = "metres") -> Geometry:
    """Make an upright rectangle facing -y with its lower edge's middle at `at`."""
    x = np.array([-width / 2, width / 2, width / 2, -width / 2])
    z = np.array([0.0, 0.0, height, height])
    vertices = np.stack([x, np.zeros(4), z], -1) + np.array(at)
    uv = vertices[:, (0, 2)] if texture == "metres" else np.stack([x / width + 0.5, z / height], -1)
    return _mesh(vertices, np.tile([0.0, -1.0, 0.0], (4, 1)), uv, np.array([[0, 1, 2], [0, 2, 3]]))


def _axes_of_side(axis: int) -> tuple[int, int]:
    """Say which axes a bitmap's u and v follow on a box's side: upright sides keep v upright."""
    return ((1, 2), (0, 2), (0, 1))[axis]


def _rotation(*, turn: float, tilt: float) -> Array:
    c, s = np.cos(turn), np.sin(turn)
    about_z = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    c, s = np.cos(tilt), np.sin(tilt)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return np.asarray(about_z @ about_x, dtype=np.float64)


def _turned(outline: Array, normals: Array, angles: Array) -> Geometry:
    circle = np.stack([np.cos(angles), np.sin(angles)], -1)
    points = np.concatenate(
        [outline[:, None, :1] * circle, np.broadcast_to(outline[:, None, 1:], (len(outline), len(angles), 1))], -1
    )
    directions = np.concatenate(
        [normals[:, None, :1] * circle, np.broadcast_to(normals[:, None, 1:], (len(outline), len(angles), 1))], -1
    )
    radius = float(outline[:, 0].max())
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(radius * angles[None, :], walked[:, None]), -1)
    return _grid(points, normals=directions, uv=uv)


def _grid(points: Array, *, normals: Array, uv: Array) -> Geometry:
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (corner.ravel() for corner in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    return _mesh(points.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces)


def _mesh(vertices: Array, normals: Array, uv: Array, faces: NDArray[np.int64]) -> Geometry:
    """Drop empty triangles and wind the others so that both kinds of normal point the same way."""
    p, q, r = (vertices[faces[:, corner]] for corner in range(3))
    flat = np.cross(q - p, r - p)
    agree = np.einsum("fx,fx->f", flat, normals[faces].sum(axis=1)) >= 0
    faces = np.where(agree[:, None], faces, faces[:, ::-1])
    return Geometry(vertices=vertices, normals=normals, uv=uv, faces=faces[np.linalg.norm(flat, axis=1) > 1e-12])

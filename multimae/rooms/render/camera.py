"""Where the camera stands: candidates at eye height in free space, and how much a candidate has to show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from multimae.data.sets.rooms import CLASSES
from multimae.rooms.render.mesh import Vector
from multimae.rooms.render.plan import Area
from multimae.rooms.render.scene import Room

NEAREST_M = 0.5
FARTHEST_M = 8.0
CLEARANCE_M = 0.25
RARE: Mapping[str, float] = MappingProxyType(
    {"box": 1.5, "television": 1.8, "books": 1.4, "lamp": 1.3, "pillow": 1.5, "sofa": 1.5, "door": 1.3, "window": 1.3}
)
SHELL = ("wall", "floor", "ceiling")


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Place a pinhole camera; `field_of_view` is horizontal, in degrees, and its rows are level."""

    position: Vector
    target: Vector
    field_of_view: float

    def axes(self) -> NDArray[np.float64]:
        """Return the rows right, up, backward: what turns world directions into the camera's."""
        backward = np.subtract(self.position, self.target)
        backward /= np.linalg.norm(backward)
        right = np.cross([0.0, 0.0, 1.0], backward)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(backward, right), backward])


def candidates(rng: Generator, room: Room, *, count: int) -> Iterator[Camera]:
    """Draw cameras in free space that look at some piece of furniture from at least 1.6 m."""
    for _ in range(count):
        x, y = (float(rng.uniform(0.3, extent - 0.3)) for extent in room.size[:2])
        eye = float(rng.uniform(1.2, 1.7))
        look = room.focus[int(rng.integers(len(room.focus)))]
        target = (look[0], look[1], float(rng.uniform(0.7, 1.25)))
        angle = float(rng.uniform(60, 76))
        here = Area(low=(x, y), high=(x, y))
        free = not any(here.meets(obstacle, gap=CLEARANCE_M) for obstacle in room.obstacles)
        if free and np.hypot(x - look[0], y - look[1]) > 1.6:
            yield Camera(position=(x, y, eye), target=target, field_of_view=angle)


def score(*, labels: NDArray[np.uint8], depth_m: NDArray[np.float64]) -> float:
    """Rate a view: many classes, each of a visible size, no wall of furniture before the lens; below 0 is unusable."""
    if depth_m.min() < NEAREST_M or depth_m.max() > FARTHEST_M:
        return -1.0
    share = np.bincount(labels.ravel(), minlength=len(CLASSES) + 1)[1:] / labels.size
    objects = [
        RARE.get(name, 1.0) * min(part / 0.02, 1.0)
        for name, part in zip(CLASSES, share, strict=True)
        if name not in SHELL
    ]
    largest = max(part for name, part in zip(CLASSES, share, strict=True) if name not in SHELL)
    bare = share[CLASSES.index("wall")] + share[CLASSES.index("ceiling")]
    crowded = float((depth_m < 1.0).mean())
    return float(max(0.0, sum(objects) - 6 * max(0.0, largest - 0.4) - 5 * max(0.0, bare - 0.5) - 4 * crowded))


def unlike(camera: Camera, other: Camera) -> bool:
    """Say whether two cameras show a room from clearly different sides."""
    cosine = float(camera.axes()[2, :2] @ other.axes()[2, :2])
    apart = float(np.hypot(*np.subtract(camera.position, other.position)[:2]))
    return cosine < 0.75 or (apart > 1.2 and cosine < 0.9)

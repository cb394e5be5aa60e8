"""Where things stand: a floor plan that grows piece by piece and refuses what would collide."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from multimae.rooms.render.mesh import Vector
from multimae.rooms.render.pieces import Part, Piece, Top, placed, turned_size

GAP = 0.03


@dataclass(frozen=True, kw_only=True)
class Area:
    """Bound a rectangle: on the floor in x and y, or on a wall along it and upwards."""

    low: tuple[float, float]
    high: tuple[float, float]

    def meets(self, other: "Area", *, gap: float = 0.0) -> bool:
        """Say whether two areas come nearer than `gap`."""
        return all(
            self.low[axis] < other.high[axis] + gap and other.low[axis] < self.high[axis] + gap for axis in (0, 1)
        )


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Give a place in the room: the middle of a piece and its turn about the z axis."""

    x: float
    y: float
    turn: float


@dataclass(frozen=True, kw_only=True)
class WallPlace:
    """Give a place at a wall: which one and how far from its middle."""

    wall: int
    x: float


@dataclass(kw_only=True)
class Plan:
    """Collect what stands in a room that spans x from 0 to `width`, y from 0 to `depth`, z from 0 to `height`.

    `floor`: what a person cannot walk through; `walls`: what each of the four walls already carries or hides behind.
    """

    width: float
    depth: float
    height: float
    parts: list[Part] = field(default_factory=list)
    floor: list[Area] = field(default_factory=list)
    walls: tuple[list[Area], ...] = field(default_factory=lambda: ([], [], [], []))
    focus: list[Vector] = field(default_factory=list)

    def wall_length(self, wall: int) -> float:
        return self.width if wall % 2 == 0 else self.depth

    def wall_spot(self, place: WallPlace, *, inwards: float) -> Spot:
        """Turn a place at a wall, `inwards` metres from it, into room coordinates; the back faces the wall."""
        half = (self.width / 2, self.depth / 2)
        middle = ((half[0], self.depth), (0.0, half[1]), (half[0], 0.0), (self.width, half[1]))
        turn = (0.0, np.pi / 2, np.pi, -np.pi / 2)[place.wall]
        c, s = float(np.cos(turn)), float(np.sin(turn))
        x, y = middle[place.wall]
        return Spot(x=x + c * place.x + s * inwards, y=y + s * place.x - c * inwards, turn=turn)

    def put(self, piece: Piece, *, at: Spot) -> None:
        """Stand a piece on the floor without asking whether there is room."""
        self.parts += placed(piece.parts, by=(at.x, at.y, 0.0), turn=at.turn)
        self.floor.append(_footprint(piece.size, at=at))
        self.focus.append((at.x, at.y, piece.size[2] * 0.6))

    def try_spot(self, piece: Piece, *, at: Spot, ignoring: Sequence[Area] = ()) -> bool:
        """Stand a piece on the floor if it fits into the room and between the others."""
        area = _footprint(piece.size, at=at)
        inside = min(area.low) >= 0 and area.high[0] <= self.width and area.high[1] <= self.depth
        if not inside or any(area.meets(other, gap=GAP) for other in self.floor if other not in ignoring):
            return False
        self.put(piece, at=at)
        return True

    def try_wall(self, piece: Piece, *, at: WallPlace) -> bool:
        """Stand a piece with its back to a wall if nothing is in its way there."""
        width, depth, height = piece.size
        if abs(at.x) + width / 2 > self.wall_length(at.wall) / 2:
            return False
        behind = Area(low=(at.x - width / 2, 0.0), high=(at.x + width / 2, height))
        if any(behind.meets(other) for other in self.walls[at.wall]):
            return False
        if not self.try_spot(piece, at=self.wall_spot(at, inwards=depth / 2 + GAP)):
            return False
        self.walls[at.wall].append(behind)
        return True

    def find_wall(self, rng: Generator, piece: Piece, *, walls: Sequence[int] = (0, 1, 2, 3)) -> WallPlace | None:
        """Try random places at some walls; return the one where the piece now stands."""
        for _ in range(24):
            wall = int(rng.choice(list(walls)))
            reach = (self.wall_length(wall) - piece.size[0]) / 2
            if reach <= 0:
                continue
            x = float(rng.uniform(-reach, reach))
            corner = float(rng.uniform())
            if corner < 0.3:
                x = float(np.sign(x)) * (reach - 0.02)
            place = WallPlace(wall=wall, x=x)
            if self.try_wall(piece, at=place):
                return place
        return None

    def find_floor(self, rng: Generator, piece: Piece, *, turns: Sequence[float]) -> bool:
        """Try random places anywhere on the floor."""
        for _ in range(24):
            at = Spot(
                x=float(rng.uniform(0.3, self.width - 0.3)),
                y=float(rng.uniform(0.3, self.depth - 0.3)),
                turn=float(rng.choice(list(turns))),
            )
            if self.try_spot(piece, at=at):
                return True
        return False

    def hang(self, parts: Sequence[Part], *, on: int, area: Area) -> bool:
        """Hang something, its origin the middle of its lower edge, on a free area of a wall."""
        if any(area.meets(other, gap=0.08) for other in self.walls[on]):
            return False
        x, z = (area.low[0] + area.high[0]) / 2, area.low[1]
        spot = self.wall_spot(WallPlace(wall=on, x=x), inwards=0.0)
        self.parts += placed(parts, by=(spot.x, spot.y, z), turn=spot.turn)
        self.walls[on].append(area)
        return True

    def stand_on(self, parts: Sequence[Part], *, top: Top, at: Spot, shift: tuple[float, float], turn: float) -> bool:
        """Stand a small thing on a piece's top, `shift` from the top's middle, if it does not stick out."""
        c, s = float(np.cos(turn)), float(np.sin(turn))
        for part in parts:
            x, y = part.geometry.vertices[:, 0], part.geometry.vertices[:, 1]
            if np.abs(c * x - s * y + shift[0]).max() > top.width / 2 + 0.05:
                return False
            if np.abs(s * x + c * y + shift[1]).max() > top.depth / 2 + 0.05:
                return False
        turned = placed(parts, by=(0.0, 0.0, 0.0), turn=turn)
        here = placed(turned, by=(top.at[0] + shift[0], top.at[1] + shift[1], top.at[2]))
        self.parts += placed(here, by=(at.x, at.y, 0.0), turn=at.turn)
        return True


def _footprint(size: Vector, *, at: Spot) -> Area:
    width, depth, _ = turned_size(size, turn=at.turn)
    return Area(low=(at.x - width / 2, at.y - depth / 2), high=(at.x + width / 2, at.y + depth / 2))

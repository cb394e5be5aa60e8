"""What belongs to a wall: openings, doors, windows, curtains, pictures; x runs along it, +y points out of the room."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from multimae.rooms.render.mesh import Geometry, box, cylinder, joined, rectangle, surface
from multimae.rooms.render.pieces import Part, placed
from multimae.rooms.render.style import Style, pick
from multimae.rooms.render.textures import Material, outdoors, painting


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Cut a hole into a wall: `x` is its middle, `sill` its height above the floor, `recess` how deep it goes."""

    x: float
    sill: float
    width: float
    height: float
    recess: float


def wall(style: Style, *, length: float, height: float, openings: Sequence[Opening], covering: Material) -> list[Part]:
    """Build a wall around its openings, with their reveals and a skirting board that stops at doors."""
    xs = sorted({-length / 2, length / 2, *(o.x + side * o.width / 2 for o in openings for side in (-1, 1))})
    zs = sorted({0.0, height, *(o.sill for o in openings), *(o.sill + o.height for o in openings)})
    cells = [
        rectangle(width=right - left, height=upper - lower, at=((left + right) / 2, 0.0, lower))
        for left, right in pairwise(xs)
        for lower, upper in pairwise(zs)
        if not any(_covers(o, x=(left + right) / 2, z=(lower + upper) / 2) for o in openings)
    ]
    skirting = [
        box(size=(right - left, 0.015, 0.09), at=((left + right) / 2, -0.0075, 0.0))
        for left, right in pairwise(xs)
        if not any(_covers(o, x=(left + right) / 2, z=0.05) for o in openings)
    ]
    parts = [
        Part(label="wall", material=covering, geometry=joined(cells)),
        Part(label="wall", material=style.trim, geometry=joined(skirting)),
    ]
    reveals = [side for opening in openings for side in _reveal(opening)]
    if reveals:
        parts.append(Part(label="wall", material=style.trim, geometry=joined(reveals)))
    return parts


def door(rng: Generator, style: Style, *, opening: Opening) -> list[Part]:
    """Hang a panelled door in an opening."""
    w, h, y = opening.width, opening.height, opening.recess - 0.04
    material = pick(rng, (style.wood, style.second_wood, style.lacquer, style.trim))
    leaf = [box(size=(w, 0.04, h), at=(0.0, y + 0.02, 0.0))]
    for lower, upper in ((0.15, 0.9), (1.05, h - 0.15)):
        panel = (w * 0.34, 0.02, upper - lower)
        leaf += [box(size=panel, at=(x, y - 0.005, lower)) for x in (-w / 4 + 0.02, w / 4 - 0.02)]
    side = float(rng.choice([-1.0, 1.0]))
    grip = [
        box(size=(0.12, 0.02, 0.02), at=(side * (w / 2 - 0.12), y - 0.05, 1.02)),
        box(size=(0.02, 0.05, 0.02), at=(side * (w / 2 - 0.07), y - 0.025, 1.02)),
    ]
    parts = (
        Part(label="door", material=material, geometry=joined(leaf)),
        Part(label="door", material=style.metal, geometry=joined(grip)),
        Part(label="door", material=style.trim, geometry=joined(_casing(opening, foot=False))),
    )
    return list(placed(parts, by=(opening.x, 0.0, opening.sill)))


def window(rng: Generator, style: Style, *, opening: Opening, daylight: float) -> list[Part]:
    """Put a frame, bars and a shining view into an opening."""
    w, h, y = opening.width, opening.height, opening.recess
    pane = rectangle(width=w, height=h, at=(0.0, y, 0.0), texture="fill")
    bars = [
        *(box(size=(0.06, 0.05, h), at=(side * (w / 2 - 0.03), y - 0.03, 0.0)) for side in (-1, 1)),
        *(box(size=(w - 0.12, 0.05, 0.06), at=(0.0, y - 0.03, z)) for z in (0.0, h - 0.06)),
    ]
    posts = np.linspace(-w / 2, w / 2, int(rng.integers(1, 4)) + 1)[1:-1]
    bars += [box(size=(0.05, 0.045, h - 0.12), at=(float(x), y - 0.03, 0.06)) for x in posts]
    if rng.uniform() < 0.5:
        bars.append(box(size=(w - 0.12, 0.04, 0.045), at=(0.0, y - 0.03, h * float(rng.uniform(0.5, 0.75)))))
    frame = pick(rng, (style.trim, style.trim, style.second_wood))
    bench = box(size=(w + 0.1, opening.recess + 0.06, 0.03), at=(0.0, opening.recess / 2 - 0.06, -0.015))
    parts = (
        Part(label="window", material=outdoors(rng, glow=daylight), geometry=pane),
        Part(label="window", material=frame, geometry=joined(bars)),
        Part(label="window", material=style.trim, geometry=joined([bench, *_casing(opening, foot=True)])),
    )
    return list(placed(parts, by=(opening.x, 0.0, opening.sill)))


def curtains(rng: Generator, style: Style, *, opening: Opening, floor: float) -> list[Part]:
    """Hang a curtain on each side of a window from a rod; `floor` is the height where they end."""
    rod_z, spread = opening.sill + opening.height + 0.12, opening.width / 2 + 0.3
    rod = cylinder(radius=0.012, height=2 * spread).moved(tilt=np.pi / 2).moved(turn=np.pi / 2)
    parts = [
        Part(label="curtain", material=style.metal, geometry=rod.moved(by=(opening.x - spread, -0.1, rod_z))),
    ]
    width = float(rng.uniform(0.3, 0.3 + 0.2 * opening.width))
    for side in (-1, 1):
        hanging = _cloth(rng, width=width, height=rod_z - floor)
        x = opening.x + side * (spread - width / 2)
        parts.append(Part(label="curtain", material=style.curtain, geometry=hanging.moved(by=(x, -0.1, floor))))
    return parts


def picture(rng: Generator, style: Style, *, width: float, height: float) -> tuple[Part, ...]:
    """Build a framed picture; the origin is the middle of its lower edge, on the wall."""
    border = float(rng.uniform(0.02, 0.05))
    frame = box(size=(width, 0.03, height), at=(0.0, -0.015, 0.0))
    mat = box(size=(width - 2 * border, 0.004, height - 2 * border), at=(0.0, -0.031, border))
    inner = border + float(rng.choice([0.0, 0.05]))
    image = box(size=(width - 2 * inner, 0.004, height - 2 * inner), at=(0.0, -0.034, inner), texture="fill")
    return (
        Part(label="picture", material=pick(rng, (style.dark, style.wood, style.trim)), geometry=frame),
        Part(label="picture", material=style.trim, geometry=mat),
        Part(label="picture", material=painting(rng), geometry=image),
    )


def _cloth(rng: Generator, *, width: float, height: float) -> Geometry:
    folds, phase = float(rng.integers(3, 6)), float(rng.uniform(0, 2 * np.pi))
    return surface(
        lambda u, v: ((v - 0.5) * width, 0.045 * np.sin(2 * np.pi * folds * v + phase) * (1 - 0.4 * u), u * height),
        rows=5,
        columns=41,
    )


def _covers(opening: Opening, *, x: float, z: float) -> bool:
    return abs(x - opening.x) < opening.width / 2 and 0 < z - opening.sill < opening.height


def _reveal(opening: Opening) -> list[Geometry]:
    """Line the four sides of a hole with boards just outside it."""
    w, h, deep, thin = opening.width, opening.height, opening.recess + 0.02, 0.01
    middle = deep / 2 + 0.0005
    sides = [box(size=(thin, deep, h), at=(opening.x + s * (w + thin) / 2, middle, opening.sill)) for s in (-1, 1)]
    ends = (opening.sill - thin, opening.sill + h)
    return sides + [box(size=(w + 2 * thin, deep, thin), at=(opening.x, middle, z)) for z in ends]


def _casing(opening: Opening, *, foot: bool) -> list[Geometry]:
    """Frame an opening on the room's side."""
    w, h = opening.width, opening.height
    sides = [box(size=(0.07, 0.02, h), at=(side * (w / 2 + 0.035), -0.01, 0.0)) for side in (-1, 1)]
    heights = (-0.07, h) if foot else (h,)
    return sides + [box(size=(w + 0.14, 0.02, 0.07), at=(0.0, -0.01, z)) for z in heights]

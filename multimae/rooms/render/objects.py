"""Small things: lamps, books, boxes, plants, cups; each stands on the origin."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from multimae.rooms.render.mesh import Geometry, box, cylinder, ellipsoid, joined, lathe, pillow, surface
from multimae.rooms.render.pieces import Part, Piece
from multimae.rooms.render.style import Style, pick
from multimae.rooms.render.textures import Material, painting


def book_row(
    rng: Generator, style: Style, *, width: float, height: float, depth: float, fill: float = 0.9
) -> tuple[Part, ...]:
    """Stand books side by side along x, their spines towards -y at y = 0, until `fill` of `width` is taken."""
    by_cover: dict[int, list[Geometry]] = {}
    x = -width / 2
    while True:
        thick = float(rng.uniform(0.02, 0.055))
        if x + thick > width * (fill - 0.5):
            break
        size = (thick * 0.95, depth * float(rng.uniform(0.7, 0.95)), height * float(rng.uniform(0.68, 0.95)))
        book = box(size=size, at=(x + thick / 2, size[1] / 2, 0.0))
        by_cover.setdefault(int(rng.integers(len(style.books))), []).append(book)
        x += thick
    return tuple(
        Part(label="books", material=style.books[cover], geometry=joined(books)) for cover, books in by_cover.items()
    )


def book_pile(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Lay a few books on one another."""
    z, parts = 0.0, []
    for _ in range(int(rng.integers(2, 6))):
        thick = float(rng.uniform(0.025, 0.05))
        cover = box(size=(float(rng.uniform(0.17, 0.24)), float(rng.uniform(0.22, 0.3)), thick))
        geometry = cover.moved(by=(0.0, 0.0, z), turn=float(rng.normal(0, 0.25)))
        parts.append(Part(label="books", material=pick(rng, style.books), geometry=geometry))
        z += thick
    return tuple(parts)


def table_lamp(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Build a lamp with a turned foot and a shade that shines."""
    height, radius = float(rng.uniform(0.2, 0.32)), float(rng.uniform(0.11, 0.17))
    belly = float(rng.uniform(0.03, 0.08))
    foot = lathe([(0.0, 0.0), (0.07, 0.0), (0.07, 0.02), (belly, 0.08), (0.02, height), (0.0, height)], segments=14)
    return (
        Part(label="lamp", material=pick(rng, (*style.accents, style.metal)), geometry=foot),
        Part(label="lamp", material=style.shade, geometry=_shade(rng, radius=radius, at=height)),
    )


def floor_lamp(rng: Generator, style: Style) -> Piece:
    """Build a lamp that stands on the floor."""
    height, radius = float(rng.uniform(1.25, 1.55)), float(rng.uniform(0.16, 0.24))
    pole = joined(
        [cylinder(radius=0.15, height=0.025), cylinder(radius=0.014, height=height - 0.02, at=(0.0, 0.0, 0.02))]
    )
    parts = (
        Part(label="lamp", material=style.metal, geometry=pole),
        Part(label="lamp", material=style.shade, geometry=_shade(rng, radius=radius, at=height)),
    )
    return Piece(parts=parts, size=(2 * radius, 2 * radius, height + 0.35))


def ceiling_lamp(rng: Generator, style: Style, *, pendant: bool) -> tuple[Part, ...]:
    """Build a lamp that hangs from the origin downwards."""
    if pendant:
        drop, radius = float(rng.uniform(0.3, 0.55)), float(rng.uniform(0.12, 0.2))
        cord = cylinder(radius=0.008, height=drop, at=(0.0, 0.0, -drop))
        globe = ellipsoid(size=(2 * radius, 2 * radius, radius * float(rng.uniform(0.9, 1.8))), at=(0.0, 0.0, -drop))
        return (
            Part(label="lamp", material=style.metal, geometry=cord),
            Part(label="lamp", material=style.ceiling_light, geometry=globe),
        )
    radius = float(rng.uniform(0.18, 0.3))
    rim = cylinder(radius=radius + 0.02, height=0.03, at=(0.0, 0.0, -0.03))
    bowl = ellipsoid(size=(2 * radius, 2 * radius, 0.2), at=(0.0, 0.0, -0.03), upper=0.0)
    return (
        Part(label="lamp", material=style.metal, geometry=rim),
        Part(label="lamp", material=style.ceiling_light, geometry=bowl),
    )


def cardboard_box(rng: Generator, style: Style) -> Piece:
    """Build a box, sometimes with open flaps, sometimes with a lid of another colour."""
    w, d, h = (float(side) for side in rng.uniform((0.3, 0.28, 0.22), (0.6, 0.5, 0.45)))
    colours: tuple[Material, ...] = (style.cardboard, style.cardboard, *style.accents)
    body = pick(rng, colours)
    parts = [Part(label="box", material=body, geometry=box(size=(w, d, h)))]
    if rng.uniform() < 0.5:
        tape = box(size=(w + 0.002, 0.05, 0.002), at=(0.0, 0.0, h))
        parts.append(Part(label="box", material=style.trim, geometry=tape))
    else:
        lid = box(size=(w + 0.02, d + 0.02, 0.06), at=(0.0, 0.0, h - 0.05))
        parts.append(Part(label="box", material=pick(rng, colours), geometry=lid))
    return Piece(parts=tuple(parts), size=(w, d, h + 0.01))


def small_box(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Build a box for the top of something."""
    w, d, h = (float(side) for side in rng.uniform((0.15, 0.12, 0.08), (0.32, 0.25, 0.22)))
    body = box(size=(w, d, h))
    lid = box(size=(w + 0.012, d + 0.012, 0.03), at=(0.0, 0.0, h - 0.02))
    material = pick(rng, (style.cardboard, *style.accents))
    return (
        Part(label="box", material=material, geometry=body),
        Part(label="box", material=pick(rng, (style.trim, material)), geometry=lid),
    )


def vase(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Turn a vase and sometimes put leaves into it."""
    height = float(rng.uniform(0.16, 0.32))
    radii = rng.uniform((0.03, 0.05, 0.03, 0.03), (0.06, 0.1, 0.07, 0.06))
    profile = [(0.0, 0.0), *((float(r), height * k / 3) for k, r in enumerate(radii)), (0.0, height * 0.9)]
    body = Part(label="otherprop", material=pick(rng, style.accents), geometry=lathe(profile, edges="smooth"))
    if rng.uniform() < 0.5:
        return (body,)
    leaves = _leaves(rng, count=7, length=height * 1.1, at=height * 0.95)
    return body, Part(label="otherprop", material=style.leaf, geometry=leaves)


def cup(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Turn a cup or a bowl."""
    radius, height = float(rng.uniform(0.035, 0.12)), float(rng.uniform(0.06, 0.1))
    profile = [(0.0, 0.0), (radius * 0.7, 0.0), (radius, height), (radius * 0.9, height), (radius * 0.6, 0.015)]
    geometry = lathe([*profile, (0.0, 0.012)])
    return (Part(label="otherprop", material=pick(rng, (style.trim, *style.accents)), geometry=geometry),)


def picture_stand(rng: Generator, style: Style) -> tuple[Part, ...]:
    """Stand a small framed picture on its edge."""
    w, h = (float(side) for side in rng.uniform((0.14, 0.16), (0.28, 0.32)))
    frame = box(size=(w + 0.04, 0.02, h + 0.04))
    image = box(size=(w, 0.004, h), at=(0.0, -0.011, 0.02), texture="fill")
    return (
        Part(label="picture", material=pick(rng, (style.dark, style.wood, style.trim)), geometry=frame),
        Part(label="picture", material=painting(rng), geometry=image),
    )


def plant(rng: Generator, style: Style) -> Piece:
    """Build a potted plant for the floor."""
    pot, height = float(rng.uniform(0.14, 0.2)), float(rng.uniform(0.25, 0.4))
    profile = [(0.0, 0.0), (pot * 0.75, 0.0), (pot, height), (pot * 0.9, height), (pot * 0.88, height - 0.04)]
    body = lathe([*profile, (0.0, height - 0.04)])
    leaves = _leaves(rng, count=16, length=float(rng.uniform(0.55, 0.9)), at=height - 0.04)
    parts = (
        Part(label="otherprop", material=pick(rng, (style.trim, *style.accents)), geometry=body),
        Part(label="otherprop", material=style.leaf, geometry=leaves),
    )
    return Piece(parts=parts, size=(0.5, 0.5, height + 0.8))


def cushion(rng: Generator, style: Style, *, lean: float) -> tuple[Part, ...]:
    """Lean a cushion `lean` radians back from lying flat."""
    side = float(rng.uniform(0.38, 0.48))
    flat = pillow(size=(side, side, float(rng.uniform(0.12, 0.17))), at=(0.0, side / 2, 0.0))
    material = pick(rng, (*style.accents, style.bedding, style.sheets))
    return (Part(label="pillow", material=material, geometry=flat.moved(tilt=lean)),)


TABLETOP: tuple[Callable[[Generator, Style], tuple[Part, ...]], ...] = (
    book_pile,
    book_pile,
    small_box,
    vase,
    cup,
    cup,
    picture_stand,
    table_lamp,
)


def _shade(rng: Generator, *, radius: float, at: float) -> Geometry:
    height = radius * float(rng.uniform(1.2, 1.6))
    return cylinder(radius=radius, top=radius * float(rng.uniform(0.55, 1.0)), height=height, at=(0.0, 0.0, at))


def _leaves(rng: Generator, *, count: int, length: float, at: float) -> Geometry:
    """Bend long leaves outwards from one stem."""
    leaves = []
    for turn in rng.uniform(0, 2 * np.pi, count):
        reach = length * float(rng.uniform(0.25, 0.6))
        rise, breadth = length * float(rng.uniform(0.6, 1.0)), length * float(rng.uniform(0.06, 0.12))
        leaf = surface(
            lambda u, v, reach=reach, rise=rise, breadth=breadth: (  # type: ignore[misc]
                (v - 0.5) * 2 * breadth * (np.sin(np.pi * u**0.8) + 0.08),
                reach * u**1.6,
                rise * np.sin(np.pi / 2 * u * 1.25) + 0.3 * breadth * np.abs(v - 0.5),
            ),
            rows=7,
            columns=3,
        )
        leaves.append(leaf.moved(by=(0.0, 0.0, at), turn=float(turn)))
    return joined(leaves)

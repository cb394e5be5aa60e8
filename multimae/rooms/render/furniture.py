"""Furniture: boxes, cylinders and cushions put together; every piece faces -y with its back at +y."""

import numpy as np
from numpy.random import Generator

from multimae.rooms.render.mesh import Geometry, Vector, box, cylinder, joined, pillow, rounded_box
from multimae.rooms.render.objects import cushion
from multimae.rooms.render.pieces import Part, Piece, Top, placed
from multimae.rooms.render.style import Style, pick
from multimae.rooms.render.textures import Material


def bed(rng: Generator, style: Style) -> Piece:
    """Build a bed with a headboard, a mattress, a duvet and pillows."""
    width, length = float(rng.choice([1.0, 1.4, 1.6, 1.8])), 2.05
    base, thick = float(rng.uniform(0.22, 0.34)), float(rng.uniform(0.16, 0.22))
    frame_material = pick(rng, (style.wood, style.second_wood, style.lacquer, style.upholstery))
    frame = [
        box(size=(width, length, 0.14), at=(0.0, 0.0, base - 0.14)),
        box(size=(width, 0.06, float(rng.uniform(0.8, 1.2))), at=(0.0, length / 2 + 0.03, 0.0)),
        *_legs(width=width - 0.1, depth=length - 0.1, height=base - 0.14, thick=0.07, square=True),
    ]
    if rng.uniform() < 0.4:
        frame.append(box(size=(width, 0.05, base + thick + 0.05), at=(0.0, -length / 2 - 0.025, 0.0)))
    mattress = rounded_box(size=(width - 0.04, length - 0.04, thick), radius=0.05, at=(0.0, 0.0, base))
    cover = length * float(rng.uniform(0.6, 0.75))
    duvet = rounded_box(
        size=(width + 0.04, cover, thick + 0.08), radius=0.08, at=(0.0, -length / 2 + cover / 2, base - 0.02)
    )
    parts = [
        Part(label="bed", material=frame_material, geometry=joined(frame)),
        Part(label="bed", material=style.sheets, geometry=mattress),
        Part(label="bed", material=style.bedding, geometry=duvet),
    ]
    covers = pick(rng, (style.sheets, style.bedding, style.accents[1]))
    for x in (0.0,) if width < 1.3 else (-width / 4, width / 4):
        head = pillow(size=(min(0.72, width * 0.46 if width > 1.3 else 0.7), 0.45, 0.17))
        geometry = head.moved(by=(x, length / 2 - 0.27, base + thick), tilt=float(rng.uniform(0.1, 0.4)))
        parts.append(Part(label="pillow", material=covers, geometry=geometry.moved(by=(0.0, 0.0, 0.03))))
    return Piece(parts=tuple(parts), size=(width + 0.06, length + 0.14, 1.0))


def sofa(rng: Generator, style: Style) -> Piece:
    """Build a sofa for two or three with loose cushions."""
    seats = int(rng.integers(2, 4))
    seat_width, arm = float(rng.uniform(0.58, 0.7)), float(rng.uniform(0.12, 0.22))
    width, depth = seats * seat_width + 2 * arm, float(rng.uniform(0.82, 0.95))
    back, arm_height = float(rng.uniform(0.74, 0.9)), float(rng.uniform(0.52, 0.66))
    soft = [rounded_box(size=(width - 0.04, depth - 0.04, 0.2), radius=0.03, at=(0.0, 0.0, 0.1))]
    soft.append(rounded_box(size=(width - 0.04, 0.2, back - 0.12), radius=0.07, at=(0.0, depth / 2 - 0.12, 0.1)))
    for side in (-1, 1):
        at = (side * (width - arm) / 2, 0.0, 0.1)
        soft.append(rounded_box(size=(arm, depth, arm_height - 0.1), radius=0.06, at=at))
    for x in (np.arange(seats) - (seats - 1) / 2) * seat_width:
        size = (seat_width - 0.01, depth - 0.2, 0.17)
        soft.append(rounded_box(size=size, radius=0.05, at=(float(x), -0.1, 0.28)))
        leaning = rounded_box(size=(seat_width - 0.02, 0.16, back - 0.42), radius=0.07)
        soft.append(leaning.moved(by=(float(x), depth / 2 - 0.27, 0.43), tilt=-0.15))
    feet = _legs(width=width - 0.15, depth=depth - 0.15, height=0.1, thick=0.04, square=False)
    parts = [
        Part(label="sofa", material=style.upholstery, geometry=joined(soft)),
        Part(label="sofa", material=style.second_wood, geometry=joined(feet)),
    ]
    for side in (-1, 1):
        if rng.uniform() < 0.75:
            x = side * (width / 2 - arm - 0.25)
            lean = float(rng.uniform(0.95, 1.25))
            by = (x, depth / 2 - 0.58, 0.45)
            parts += placed(cushion(rng, style, lean=lean), by=by, turn=float(rng.normal(0, 0.2)))
    return Piece(parts=tuple(parts), size=(width, depth, back))


def chair(rng: Generator, style: Style) -> Piece:
    """Build a wooden chair with a slatted, solid or upholstered back."""
    width, depth, seat = float(rng.uniform(0.42, 0.5)), float(rng.uniform(0.42, 0.5)), float(rng.uniform(0.43, 0.48))
    top = float(rng.uniform(0.82, 1.02))
    frame_material = pick(rng, (style.wood, style.second_wood, style.lacquer, style.dark))
    frame = _legs(width=width - 0.05, depth=depth - 0.05, height=seat, thick=0.04, square=bool(rng.uniform() < 0.6))
    frame.append(box(size=(width, depth, 0.03), at=(0.0, 0.0, seat - 0.02)))
    for side in (-1, 1):
        frame.append(box(size=(0.04, 0.04, top - seat), at=(side * (width - 0.05) / 2, (depth - 0.04) / 2, seat)))
    parts = []
    kind = int(rng.integers(3))
    at_back = (depth - 0.04) / 2
    if kind == 0:
        for z in np.linspace(seat + 0.12, top - 0.09, int(rng.integers(2, 5))):
            frame.append(box(size=(width - 0.04, 0.02, 0.07), at=(0.0, at_back, float(z))))
    elif kind == 1:
        frame.append(box(size=(width - 0.04, 0.025, (top - seat) * 0.62), at=(0.0, at_back, top - (top - seat) * 0.65)))
    else:
        at = (0.0, at_back - 0.02, seat + 0.08)
        back = rounded_box(size=(width - 0.02, 0.08, top - seat - 0.06), radius=0.03, at=at)
        parts.append(Part(label="chair", material=style.upholstery, geometry=back))
    if kind == 2 or rng.uniform() < 0.4:
        pad = rounded_box(size=(width - 0.02, depth - 0.03, 0.06), radius=0.025, at=(0.0, -0.01, seat))
        parts.append(Part(label="chair", material=style.upholstery, geometry=pad))
    parts.append(Part(label="chair", material=frame_material, geometry=joined(frame)))
    return Piece(parts=tuple(parts), size=(width, depth, top))


def office_chair(rng: Generator, style: Style) -> Piece:
    """Build a swivel chair on a star of five feet."""
    seat, top = float(rng.uniform(0.44, 0.5)), float(rng.uniform(0.95, 1.15))
    foot = box(size=(0.3, 0.045, 0.04), at=(0.15, 0.0, 0.05))
    castor = cylinder(radius=0.03, height=0.05, at=(0.28, 0.0, 0.0))
    star = [piece.moved(turn=2 * np.pi * k / 5) for k in range(5) for piece in (foot, castor)]
    star.append(cylinder(radius=0.03, height=seat - 0.06, at=(0.0, 0.0, 0.06)))
    star.append(box(size=(0.06, 0.03, 0.3), at=(0.0, 0.22, seat)))
    soft = [
        rounded_box(size=(0.5, 0.48, 0.09), radius=0.04, at=(0.0, 0.0, seat - 0.02)),
        rounded_box(size=(0.46, 0.09, top - seat - 0.14), radius=0.04, at=(0.0, 0.22, seat + 0.14)),
    ]
    for side in (-1, 1):
        star.append(box(size=(0.04, 0.04, 0.2), at=(side * 0.26, 0.05, seat)))
        star.append(box(size=(0.06, 0.26, 0.03), at=(side * 0.26, 0.03, seat + 0.2)))
    parts = (
        Part(label="chair", material=style.dark, geometry=joined(star)),
        Part(label="chair", material=pick(rng, (style.upholstery, style.dark)), geometry=joined(soft)),
    )
    return Piece(parts=parts, size=(0.62, 0.62, top))


def armchair(rng: Generator, style: Style) -> Piece:
    """Build an upholstered chair with arms."""
    width, depth, back = float(rng.uniform(0.72, 0.85)), float(rng.uniform(0.72, 0.82)), float(rng.uniform(0.8, 1.0))
    soft = [
        rounded_box(size=(width - 0.2, depth - 0.04, 0.3), radius=0.05, at=(0.0, -0.01, 0.14)),
        rounded_box(size=(width - 0.04, 0.18, back - 0.14), radius=0.07, at=(0.0, depth / 2 - 0.1, 0.14)),
    ]
    arm = (0.13, depth - 0.02, 0.46)
    soft += [rounded_box(size=arm, radius=0.05, at=(side * (width - 0.13) / 2, 0.0, 0.14)) for side in (-1, 1)]
    feet = _legs(width=width - 0.12, depth=depth - 0.12, height=0.15, thick=0.04, square=False)
    parts = [
        Part(label="chair", material=pick(rng, (style.upholstery, style.curtain)), geometry=joined(soft)),
        Part(label="chair", material=style.wood, geometry=joined(feet)),
    ]
    if rng.uniform() < 0.5:
        parts += placed(cushion(rng, style, lean=1.15), by=(0.0, depth / 2 - 0.38, 0.45))
    return Piece(parts=tuple(parts), size=(width, depth, back))


def table(rng: Generator, style: Style, *, size: Vector) -> Piece:
    """Build a table on four legs."""
    width, depth, height = size
    legs = _legs(
        width=width - 0.14,
        depth=depth - 0.14,
        height=height - 0.03,
        thick=float(rng.uniform(0.045, 0.08)),
        square=bool(rng.uniform() < 0.6),
    )
    rails = [
        box(size=(width - 0.16, 0.02, 0.08), at=(0.0, side * (depth / 2 - 0.07), height - 0.11)) for side in (-1, 1)
    ]
    plate = box(size=(width, depth, 0.035), at=(0.0, 0.0, height - 0.035))
    leg_material = pick(rng, (style.wood, style.lacquer, style.metal))
    parts = (
        Part(label="table", material=style.wood, geometry=plate),
        Part(label="table", material=leg_material, geometry=joined(legs + rails)),
    )
    return Piece(parts=parts, size=size, tops=(_top(size),))


def round_table(rng: Generator, style: Style, *, size: Vector) -> Piece:
    """Build a round table on one column."""
    radius, height = size[0] / 2, size[2]
    column = [
        cylinder(radius=radius * 0.5, top=radius * 0.42, height=0.04),
        cylinder(radius=0.05, height=height - 0.05, at=(0.0, 0.0, 0.03)),
    ]
    plate = cylinder(radius=radius, height=0.035, at=(0.0, 0.0, height - 0.035))
    parts = (
        Part(label="table", material=pick(rng, (style.wood, style.lacquer)), geometry=plate),
        Part(label="table", material=pick(rng, (style.wood, style.metal)), geometry=joined(column)),
    )
    inside = radius * 1.3
    return Piece(
        parts=parts,
        size=(2 * radius, 2 * radius, height),
        tops=(Top(at=(0.0, 0.0, height), width=inside, depth=inside),),
    )


def desk(rng: Generator, style: Style) -> Piece:
    """Build a desk with drawers under one side."""
    size = (float(rng.uniform(1.1, 1.6)), float(rng.uniform(0.6, 0.75)), float(rng.uniform(0.72, 0.77)))
    width, depth, height = size
    material, knob = pick(rng, (style.wood, style.second_wood, style.lacquer)), style.metal
    side = float(rng.choice([-1.0, 1.0]))
    body = [
        box(size=(width, depth, 0.035), at=(0.0, 0.0, height - 0.035)),
        box(size=(0.04, depth - 0.06, height - 0.035), at=(-side * (width / 2 - 0.04), 0.0, 0.0)),
        box(size=(0.4, depth - 0.06, height - 0.08), at=(side * (width / 2 - 0.22), 0.0, 0.05)),
    ]
    fronts, handles = _drawers(columns=1, rows=3, width=0.4, height=height - 0.1)
    shift = (side * (width / 2 - 0.22), -depth / 2 + 0.03, 0.05)
    parts = (
        Part(label="table", material=material, geometry=joined(body)),
        Part(label="table", material=pick(rng, (material, style.lacquer)), geometry=fronts.moved(by=shift)),
        Part(label="table", material=knob, geometry=handles.moved(by=shift)),
    )
    return Piece(parts=parts, size=size, tops=(_top(size),))


def cabinet(rng: Generator, style: Style, *, size: Vector, columns: int, rows: int) -> Piece:
    """Build a case with a grid of doors or drawers; one row of tall fronts makes a wardrobe."""
    width, depth, height = size
    plinth = 0.06 if height > 1.2 or rng.uniform() < 0.4 else 0.14
    material = pick(rng, (style.wood, style.second_wood, style.lacquer, style.lacquer))
    body = [box(size=(width, depth - 0.02, height - plinth), at=(0.0, 0.01, plinth))]
    body.append(box(size=(width + 0.02, depth, 0.025), at=(0.0, 0.0, height - 0.025)))
    if plinth > 0.1:
        body += _legs(width=width - 0.1, depth=depth - 0.1, height=plinth, thick=0.04, square=False)
    else:
        body.append(box(size=(width - 0.06, depth - 0.08, plinth)))
    fronts, handles = _drawers(columns=columns, rows=rows, width=width, height=height - plinth - 0.03)
    shift = (0.0, -depth / 2 + 0.02, plinth)
    parts = (
        Part(label="cabinet", material=material, geometry=joined(body)),
        Part(label="cabinet", material=pick(rng, (material, style.lacquer)), geometry=fronts.moved(by=shift)),
        Part(label="cabinet", material=style.metal, geometry=handles.moved(by=shift)),
    )
    return Piece(parts=parts, size=(width + 0.02, depth + 0.03, height), tops=(_top(size),))


def television(rng: Generator, style: Style, *, picture: Material) -> tuple[Part, ...]:
    """Build a flat screen on a foot, standing on the origin."""
    width = float(rng.uniform(0.8, 1.25))
    height = width * 0.58
    case = [
        box(size=(width, 0.05, height), at=(0.0, 0.0, 0.07)),
        box(size=(width * 0.4, 0.2, 0.015)),
        box(size=(0.08, 0.04, 0.08)),
    ]
    screen = box(size=(width - 0.04, 0.004, height - 0.04), at=(0.0, -0.026, 0.09), texture="fill")
    return (
        Part(label="television", material=style.dark, geometry=joined(case)),
        Part(label="television", material=picture, geometry=screen),
    )


def _legs(*, width: float, depth: float, height: float, thick: float, square: bool) -> list[Geometry]:
    """Stand four legs with their axes on the corners of a rectangle; round ones taper downwards."""
    corners = [(x * width / 2, y * depth / 2, 0.0) for x in (-1, 1) for y in (-1, 1)]
    if square:
        return [box(size=(thick, thick, height), at=at) for at in corners]
    return [cylinder(radius=thick * 0.35, top=thick * 0.6, height=height, at=at) for at in corners]


def _drawers(*, columns: int, rows: int, width: float, height: float) -> tuple[Geometry, Geometry]:
    """Lay out fronts and their handles on the side that faces -y."""
    fronts, handles = [], []
    step_x, step_z = width / columns, height / rows
    for column in range(columns):
        for row in range(rows):
            x, z = (column + 0.5) * step_x - width / 2, row * step_z + 0.01
            fronts.append(box(size=(step_x - 0.02, 0.02, step_z - 0.02), at=(x, -0.01, z)))
            if step_z > 1.3 * step_x:
                inward = (0.5 - column % 2) * (step_x - 0.12)
                handles.append(box(size=(0.015, 0.03, 0.16), at=(x + inward, -0.035, z + step_z / 2 - 0.08)))
            else:
                handles.append(box(size=(min(0.14, step_x / 3), 0.03, 0.018), at=(x, -0.035, z + step_z * 0.6)))
    return joined(fronts), joined(handles)


def _top(size: Vector) -> Top:
    return Top(at=(0.0, 0.0, size[2]), width=size[0] - 0.15, depth=size[1] - 0.12)

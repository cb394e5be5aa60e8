"""What a room is: its shell, what kind of room it is and what stands in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from multimae.rooms.render import fixtures, furniture, objects, textures
from multimae.rooms.render.fixtures import Opening
from multimae.rooms.render.mesh import Vector, box, cylinder
from multimae.rooms.render.pieces import Part, Piece, placed
from multimae.rooms.render.plan import Area, Plan, Spot, WallPlace
from multimae.rooms.render.shelves import bookshelf
from multimae.rooms.render.style import Style, draw_style, pick

QUARTERS = (0.0, np.pi / 2, np.pi, -np.pi / 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """Hold a finished room: its kind, its parts, where one cannot stand, and the points worth looking at."""

    kind: str
    size: Vector
    parts: tuple[Part, ...]
    obstacles: tuple[Area, ...]
    focus: tuple[Vector, ...]


def draw_room(rng: Generator) -> Room:
    """Draw a room: shell first, then what makes it a bedroom or a study, then what any room has."""
    style = draw_style(rng)
    size = (float(rng.uniform(3.4, 5.4)), float(rng.uniform(3.4, 5.4)), float(rng.uniform(2.4, 2.9)))
    plan = Plan(width=size[0], depth=size[1], height=size[2])
    _build_shell(rng, style, plan)
    kind = rng.choice(list(KINDS), p=[0.34, 0.30, 0.20, 0.16])
    KINDS[str(kind)](rng, style, plan)
    _fill(rng, style, plan)
    _hang_pictures(rng, style, plan)
    return Room(
        kind=str(kind),
        size=size,
        parts=tuple(plan.parts),
        obstacles=tuple(plan.floor),
        focus=tuple(plan.focus),
    )


def _build_shell(rng: Generator, style: Style, plan: Plan) -> None:
    """Build floor, ceiling, four walls with a door and one or two windows, and the ceiling light."""
    middle = (plan.width / 2, plan.depth / 2)
    slab = box(size=(plan.width + 0.8, plan.depth + 0.8, 0.1), at=(*middle, -0.1))
    lid = box(size=(plan.width + 0.8, plan.depth + 0.8, 0.1), at=(*middle, plan.height))
    plan.parts.append(Part(label="floor", material=style.floor, geometry=slab))
    plan.parts.append(Part(label="ceiling", material=style.ceiling, geometry=lid))
    door_wall = int(rng.integers(4))
    with_window = rng.permutation([wall for wall in range(4) if wall != door_wall])[: int(rng.integers(1, 3))]
    bold_wall = int(rng.integers(4)) if rng.uniform() < 0.5 else -1
    daylight = float(rng.uniform(1.5, 4.5)) if rng.uniform() < 0.75 else float(rng.uniform(0.2, 0.8))
    for wall in range(4):
        openings = []
        if wall == door_wall:
            openings.append(_add_door(rng, style, plan, wall=wall))
        elif wall in with_window:
            openings.append(_add_window(rng, style, plan, wall=wall, daylight=daylight))
        covering = style.feature_wall if wall == bold_wall else style.wall
        length = plan.wall_length(wall)
        parts = fixtures.wall(style, length=length, height=plan.height, openings=openings, covering=covering)
        _mount(plan, parts, wall=wall)
    lamp = objects.ceiling_lamp(rng, style, pendant=bool(rng.uniform() < 0.4))
    x, y = (extent / 2 + float(rng.uniform(-0.3, 0.3)) for extent in (plan.width, plan.depth))
    plan.parts += placed(lamp, by=(x, y, plan.height))


def _add_door(rng: Generator, style: Style, plan: Plan, *, wall: int) -> Opening:
    width, height = float(rng.uniform(0.8, 0.92)), float(rng.uniform(2.0, 2.1))
    reach = plan.wall_length(wall) / 2 - width / 2 - 0.15
    opening = Opening(x=float(rng.uniform(-reach, reach)), sill=0.0, width=width, height=height, recess=0.09)
    _mount(plan, fixtures.door(rng, style, opening=opening), wall=wall)
    _reserve(plan, opening, wall=wall, margin=0.12, bottom=0.0)
    return opening


def _add_window(rng: Generator, style: Style, plan: Plan, *, wall: int, daylight: float) -> Opening:
    length = plan.wall_length(wall)
    sill = float(rng.uniform(0.75, 1.0))
    width, height = float(rng.uniform(1.0, min(2.0, length - 1.8))), float(rng.uniform(1.1, plan.height - sill - 0.25))
    reach = (length - width) / 2 - 0.55
    x = float(rng.uniform(-reach, reach))
    opening = Opening(x=x, sill=sill, width=width, height=height, recess=float(rng.uniform(0.12, 0.25)))
    _mount(plan, fixtures.window(rng, style, opening=opening, daylight=daylight), wall=wall)
    bottom, margin = sill - 0.08, 0.1
    if rng.uniform() < 0.8:
        floor = 0.04 if rng.uniform() < 0.55 else sill - 0.2
        _mount(plan, fixtures.curtains(rng, style, opening=opening, floor=floor), wall=wall)
        bottom, margin = floor, 0.32
    _reserve(plan, opening, wall=wall, margin=margin, bottom=bottom)
    return opening


def _mount(plan: Plan, parts: list[Part], *, wall: int) -> None:
    spot = plan.wall_spot(WallPlace(wall=wall, x=0.0), inwards=0.0)
    plan.parts += placed(parts, by=(spot.x, spot.y, 0.0), turn=spot.turn)


def _reserve(plan: Plan, opening: Opening, *, wall: int, margin: float, bottom: float) -> None:
    """Keep furniture and pictures away from an opening; a door also keeps the floor before it free to stand on."""
    half = opening.width / 2 + margin
    top = opening.sill + opening.height + 0.15
    plan.walls[wall].append(Area(low=(opening.x - half, bottom), high=(opening.x + half, top)))


def _bedroom(rng: Generator, style: Style, plan: Plan) -> None:
    piece = furniture.bed(rng, style)
    place = plan.find_wall(rng, piece)
    if place is not None:
        spot = plan.wall_spot(place, inwards=piece.size[1] / 2)
        _lay_rug(rng, style, plan, near=(spot.x, spot.y))
        for side in (-1, 1):
            stand = furniture.cabinet(rng, style, size=(0.45, 0.4, float(rng.uniform(0.42, 0.58))), columns=1, rows=2)
            x = place.x + side * (piece.size[0] / 2 + 0.27)
            if plan.try_wall(stand, at=WallPlace(wall=place.wall, x=x)):
                at = plan.wall_spot(WallPlace(wall=place.wall, x=x), inwards=0.23)
                thing = objects.table_lamp if rng.uniform() < 0.75 else objects.book_pile
                plan.stand_on(thing(rng, style), top=stand.tops[0], at=at, shift=(0.0, 0.0), turn=0.0)
    _add_cabinet(rng, style, plan, tall=True)
    _add_cabinet(rng, style, plan, tall=False)
    if rng.uniform() < 0.5:
        _add_desk(rng, style, plan)


def _living_room(rng: Generator, style: Style, plan: Plan) -> None:
    piece = furniture.sofa(rng, style)
    place = plan.find_wall(rng, piece)
    if place is not None:
        size = (float(rng.uniform(0.9, 1.2)), float(rng.uniform(0.5, 0.65)), float(rng.uniform(0.38, 0.48)))
        low = furniture.table(rng, style, size=size)
        if rng.uniform() < 0.3:
            low = furniture.round_table(rng, style, size=(size[0] * 0.85, size[0] * 0.85, size[2]))
        spot = plan.wall_spot(place, inwards=piece.size[1] + 0.42 + low.size[1] / 2)
        if plan.try_spot(low, at=spot):
            _dress(rng, style, plan, low, at=spot)
        _lay_rug(rng, style, plan, near=(spot.x, spot.y))
        _add_screen(rng, style, plan, wall=(place.wall + 2) % 4)
    else:
        _add_screen(rng, style, plan, wall=int(rng.integers(4)))
    for _ in range(int(rng.integers(0, 3))):
        plan.find_floor(rng, furniture.armchair(rng, style), turns=QUARTERS)
    _add_shelf(rng, style, plan)


def _study(rng: Generator, style: Style, plan: Plan) -> None:
    _add_desk(rng, style, plan)
    for _ in range(int(rng.integers(1, 3))):
        _add_shelf(rng, style, plan)
    plan.find_wall(rng, furniture.sofa(rng, style))
    _add_cabinet(rng, style, plan, tall=bool(rng.uniform() < 0.5))
    _lay_rug(rng, style, plan, near=(plan.width / 2, plan.depth / 2))


def _dining_room(rng: Generator, style: Style, plan: Plan) -> None:
    size = (float(rng.uniform(1.2, 1.8)), float(rng.uniform(0.8, 0.95)), float(rng.uniform(0.72, 0.77)))
    piece = furniture.table(rng, style, size=size)
    if rng.uniform() < 0.35:
        piece = furniture.round_table(rng, style, size=(1.1, 1.1, size[2]))
    x, y = (extent / 2 + float(rng.uniform(-0.3, 0.3)) for extent in (plan.width, plan.depth))
    spot = Spot(x=x, y=y, turn=float(rng.choice([0.0, np.pi / 2])))
    _lay_rug(rng, style, plan, near=(x, y))
    plan.put(piece, at=spot)
    under = plan.floor[-1]
    _dress(rng, style, plan, piece, at=spot)
    seat = furniture.chair(rng, style)
    for along, across, turn in _seats(piece.size):
        if rng.uniform() < 0.85:
            pulled_out = float(rng.uniform(-0.03, 0.12)) * float(np.sign(across))
            here = _beside(spot, along=along, across=across + pulled_out, turn=turn)
            plan.try_spot(seat, at=here, ignoring=(under,))
    _add_cabinet(rng, style, plan, tall=False)
    _add_cabinet(rng, style, plan, tall=bool(rng.uniform() < 0.5))


def _seats(size: Vector) -> list[tuple[float, float, float]]:
    """List the seats of a table: offset along it, offset across it, turn; half tucked in."""
    aside = size[1] / 2 + 0.16
    if size[0] < 1.15:
        return [(0.0, aside, 0.0), (0.0, -aside, np.pi)]
    step = size[0] / 4
    return [(x, side * aside, 0.0 if side > 0 else np.pi) for x in (-step, step) for side in (-1, 1)]


def _beside(spot: Spot, *, along: float, across: float, turn: float) -> Spot:
    c, s = float(np.cos(spot.turn)), float(np.sin(spot.turn))
    return Spot(x=spot.x + c * along - s * across, y=spot.y + s * along + c * across, turn=spot.turn + turn)


def _fill(rng: Generator, style: Style, plan: Plan) -> None:
    """Add what any room may have, while there is floor left."""
    if rng.uniform() < 0.6:
        _add_shelf(rng, style, plan)
    if rng.uniform() < 0.6:
        plan.find_wall(rng, objects.floor_lamp(rng, style))
    if rng.uniform() < 0.6:
        plan.find_wall(rng, objects.plant(rng, style))
    for _ in range(int(rng.integers(1, 4))):
        _add_boxes(rng, style, plan)
    if rng.uniform() < 0.5:
        plan.find_wall(rng, furniture.chair(rng, style))


def _add_boxes(rng: Generator, style: Style, plan: Plan) -> None:
    """Stand a box at a wall, sometimes with a smaller one on top."""
    piece = objects.cardboard_box(rng, style)
    place = plan.find_wall(rng, piece)
    if place is not None and rng.uniform() < 0.5:
        spot = plan.wall_spot(place, inwards=piece.size[1] / 2 + 0.03)
        turn = spot.turn + float(rng.normal(0, 0.15))
        plan.parts += placed(objects.small_box(rng, style), by=(spot.x, spot.y, piece.size[2]), turn=turn)


def _add_desk(rng: Generator, style: Style, plan: Plan) -> None:
    piece = furniture.desk(rng, style)
    place = plan.find_wall(rng, piece)
    if place is None:
        return
    spot = plan.wall_spot(place, inwards=piece.size[1] / 2 + 0.03)
    under = plan.floor[-1]
    _dress(rng, style, plan, piece, at=spot)
    seat = furniture.office_chair(rng, style) if rng.uniform() < 0.6 else furniture.chair(rng, style)
    turn = np.pi + float(rng.normal(0, 0.35))
    plan.try_spot(seat, at=_beside(spot, along=0.0, across=-piece.size[1] / 2 - 0.2, turn=turn), ignoring=(under,))


def _add_shelf(rng: Generator, style: Style, plan: Plan) -> None:
    piece = bookshelf(rng, style, tall=bool(rng.uniform() < 0.65))
    place = plan.find_wall(rng, piece)
    if place is not None:
        _dress(rng, style, plan, piece, at=plan.wall_spot(place, inwards=piece.size[1] / 2 + 0.03))


def _add_cabinet(rng: Generator, style: Style, plan: Plan, *, tall: bool) -> None:
    if tall:
        columns = int(rng.integers(2, 4))
        size = (columns * float(rng.uniform(0.45, 0.55)), float(rng.uniform(0.5, 0.62)), float(rng.uniform(1.8, 2.15)))
        piece = furniture.cabinet(rng, style, size=size, columns=columns, rows=1)
    else:
        columns, rows = int(rng.integers(2, 4)), int(rng.integers(1, 4))
        size = (columns * float(rng.uniform(0.4, 0.55)), float(rng.uniform(0.38, 0.48)), float(rng.uniform(0.7, 0.95)))
        piece = furniture.cabinet(rng, style, size=size, columns=columns, rows=rows)
    place = plan.find_wall(rng, piece)
    if place is None:
        return
    spot = plan.wall_spot(place, inwards=piece.size[1] / 2 + 0.03)
    if not tall and rng.uniform() < 0.3:
        screen = furniture.television(rng, style, picture=_screen_picture(rng))
        if plan.stand_on(screen, top=piece.tops[0], at=spot, shift=(0.0, 0.05), turn=0.0):
            return
    if not tall or rng.uniform() < 0.5:
        _dress(rng, style, plan, piece, at=spot)


def _add_screen(rng: Generator, style: Style, plan: Plan, *, wall: int) -> None:
    """Stand a television on a low cabinet."""
    size = (float(rng.uniform(1.3, 1.7)), 0.42, float(rng.uniform(0.4, 0.6)))
    piece = furniture.cabinet(rng, style, size=size, columns=3, rows=1)
    screen = furniture.television(rng, style, picture=_screen_picture(rng))
    place = plan.find_wall(rng, piece, walls=(wall,)) or plan.find_wall(rng, piece)
    if place is not None:
        spot = plan.wall_spot(place, inwards=piece.size[1] / 2 + 0.03)
        plan.stand_on(screen, top=piece.tops[0], at=spot, shift=(0.0, 0.05), turn=0.0)
        plan.walls[place.wall].append(Area(low=(place.x - 0.65, 0.5), high=(place.x + 0.65, 1.35)))


def _screen_picture(rng: Generator) -> textures.Material:
    """Switch a screen off, or show something on it."""
    if rng.uniform() < 0.6:
        return textures.plain((0.012, 0.012, 0.015), gloss=0.05)
    shown = textures.painting(rng)
    return textures.Material(bitmap=shown.bitmap, glow=1.0)


def _lay_rug(rng: Generator, style: Style, plan: Plan, *, near: tuple[float, float]) -> None:
    """Lay a rug so that it stays inside the room; furniture may stand on it."""
    if rng.uniform() > 0.8:
        return
    width, depth = (min(float(rng.uniform(1.4, 2.6)), extent - 0.8) for extent in (plan.width, plan.depth))
    x = float(np.clip(near[0], width / 2 + 0.1, plan.width - width / 2 - 0.1))
    y = float(np.clip(near[1], depth / 2 + 0.1, plan.depth - depth / 2 - 0.1))
    tones = [pick(rng, (*style.accents, style.sheets, style.curtain)).bitmap.mean(axis=(0, 1)) for _ in range(3)]
    first, second, third = ((float(tone[0]), float(tone[1]), float(tone[2])) for tone in tones)
    material = textures.rug(rng, tone=first, second=second, third=third)
    if rng.uniform() < 0.2:
        radius = min(width, depth) / 2
        geometry = cylinder(radius=radius, height=0.012, at=(x, y, 0.0))
    else:
        geometry = box(size=(width, depth, 0.012), at=(x, y, 0.0), texture="fill")
    plan.parts.append(Part(label="floor mat", material=material, geometry=geometry))


def _dress(rng: Generator, style: Style, plan: Plan, piece: Piece, *, at: Spot) -> None:
    """Stand small things on a piece, one in each of a few slots along it."""
    top = piece.tops[0]
    slots = max(1, int(top.width / 0.38))
    for slot in range(slots):
        if rng.uniform() < 0.25:
            continue
        thing = objects.TABLETOP[int(rng.integers(len(objects.TABLETOP)))](rng, style)
        x = (slot + 0.5) * top.width / slots - top.width / 2
        y = float(rng.uniform(-0.2, 0.3)) * top.depth
        plan.stand_on(thing, top=top, at=at, shift=(x, y), turn=float(rng.normal(0, 0.2)))


def _hang_pictures(rng: Generator, style: Style, plan: Plan) -> None:
    """Hang pictures of several sizes where a wall is free at eye height."""
    for _ in range(int(rng.integers(12, 20))):
        wall = int(rng.integers(4))
        width, height = float(rng.uniform(0.35, 1.0)), float(rng.uniform(0.35, 0.75))
        reach = (plan.wall_length(wall) - width) / 2 - 0.1
        x, middle = float(rng.uniform(-reach, reach)), float(rng.uniform(1.45, 1.65))
        area = Area(low=(x - width / 2, middle - height / 2), high=(x + width / 2, middle + height / 2))
        plan.hang(fixtures.picture(rng, style, width=width, height=height), on=wall, area=area)


KINDS: Mapping[str, Callable[[Generator, Style, Plan], None]] = MappingProxyType(
    {"bedroom": _bedroom, "living room": _living_room, "study": _study, "dining room": _dining_room}
)

"""Bookshelves: a case whose compartments are filled with books, boxes and vases."""

from numpy.random import Generator

from multimae.rooms.render.mesh import box, joined
from multimae.rooms.render.objects import book_pile, book_row, small_box, vase
from multimae.rooms.render.pieces import Part, Piece, Top, placed
from multimae.rooms.render.style import Style, pick


def bookshelf(rng: Generator, style: Style, *, tall: bool) -> Piece:
    """Build an open shelf and fill it."""
    width, depth = float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.26, 0.34))
    rows = int(rng.integers(4, 6)) if tall else int(rng.integers(2, 4))
    step = float(rng.uniform(0.33, 0.4))
    height, board = rows * step + 0.1, 0.025
    case = [box(size=(width, 0.015, height - 0.06), at=(0.0, depth / 2 - 0.01, 0.06))]
    case += [box(size=(board, depth, height), at=(side * (width - board) / 2, 0.0, 0.0)) for side in (-1, 1)]
    case += [box(size=(width - board, depth - 0.01, board), at=(0.0, 0.0, 0.06 + row * step)) for row in range(rows)]
    case.append(box(size=(width + 0.01, depth + 0.01, board), at=(0.0, 0.0, height - board)))
    material = pick(rng, (style.wood, style.second_wood, style.lacquer))
    parts = [Part(label="bookshelf", material=material, geometry=joined(case))]
    for row in range(rows):
        floor = 0.06 + row * step + board
        parts += _compartment(rng, style, width=width - 2 * board, depth=depth, headroom=step - board, floor=floor)
    top = Top(at=(0.0, 0.0, height), width=width - 0.1, depth=depth - 0.05)
    return Piece(parts=tuple(parts), size=(width + 0.01, depth + 0.01, height), tops=(top,))


def _compartment(
    rng: Generator, style: Style, *, width: float, depth: float, headroom: float, floor: float
) -> tuple[Part, ...]:
    fill = float(rng.uniform(0.45, 0.98))
    front = -depth / 2 + 0.03
    row = book_row(rng, style, width=width, height=min(0.31, headroom), depth=depth - 0.06, fill=fill)
    parts = placed(row, by=(0.0, front, floor))
    if fill < 0.72:
        thing = (small_box, vase, book_pile)[int(rng.integers(3))](rng, style)
        if max(float(part.geometry.vertices[:, 2].max()) for part in thing) < headroom:
            parts += placed(thing, by=(width * (0.5 + fill / 2) - width / 2, 0.0, floor))
    return parts

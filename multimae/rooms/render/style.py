"""What one room is made of: its woods, cloths and paints, drawn once so that its furniture matches."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from multimae.rooms.render import textures
from multimae.rooms.render.textures import Colour, Material, colour, plain


@dataclass(frozen=True, kw_only=True, eq=False)
class Style:
    """Hold the materials that a room's surfaces and furniture share."""

    wall: Material
    feature_wall: Material
    floor: Material
    ceiling: Material
    trim: Material
    wood: Material
    second_wood: Material
    lacquer: Material
    upholstery: Material
    bedding: Material
    sheets: Material
    curtain: Material
    accents: tuple[Material, ...]
    metal: Material
    dark: Material
    leaf: Material
    cardboard: Material
    books: tuple[Material, ...]
    shade: Material
    ceiling_light: Material


def draw_style(rng: Generator) -> Style:
    """Draw a room's materials around one main hue and one that contrasts."""
    hue = float(rng.uniform())
    accent_hue = hue + float(rng.choice([0.08, 0.33, 0.5]))
    wood, second_wood = _wood_tone(rng), _wood_tone(rng)
    return Style(
        wall=_wall(rng, hue=hue, bold=0.0),
        feature_wall=_wall(rng, hue=hue, bold=1.0),
        floor=_floor(rng),
        ceiling=textures.plaster(rng, tone=colour(hue=0.1, saturation=0.03, value=rng.uniform(0.90, 0.96))),
        trim=plain(colour(hue=0.1, saturation=0.05, value=rng.uniform(0.75, 0.95)), gloss=0.25),
        wood=textures.wood(rng, tone=wood, gloss=0.2),
        second_wood=textures.wood(rng, tone=second_wood, gloss=0.3),
        lacquer=plain(_paint(rng, hue=hue), gloss=0.2),
        upholstery=_cloth(rng, hue=accent_hue, saturation=0.55),
        bedding=_cloth(rng, hue=hue + float(rng.normal(0, 0.1)), saturation=0.5),
        sheets=textures.fabric(rng, tone=colour(hue=0.1, saturation=0.06, value=rng.uniform(0.8, 0.93))),
        curtain=_cloth(rng, hue=accent_hue, saturation=0.35),
        accents=tuple(_accent(rng, hue=hue + shift) for shift in (0.0, 0.45, 0.15, 0.6)),
        metal=plain(colour(hue=0.1, saturation=0.05, value=rng.choice([0.25, 0.6, 0.75])), gloss=0.1),
        dark=plain((0.018, 0.018, 0.02), gloss=0.08),
        leaf=plain(colour(hue=rng.uniform(0.24, 0.36), saturation=rng.uniform(0.5, 0.8), value=rng.uniform(0.3, 0.55))),
        cardboard=textures.plaster(rng, tone=colour(hue=0.085, saturation=rng.uniform(0.35, 0.5), value=0.68)),
        books=tuple(_accent(rng, hue=float(rng.uniform())) for _ in range(9)),
        shade=plain(colour(hue=0.1, saturation=rng.uniform(0.15, 0.4), value=1.0), glow=float(rng.uniform(3, 7))),
        ceiling_light=plain(
            colour(hue=0.1, saturation=rng.uniform(0.03, 0.3), value=1.0), glow=float(rng.uniform(9, 15))
        ),
    )


def pick(rng: Generator, options: Sequence[Material]) -> Material:
    """Choose one of some materials."""
    return options[int(rng.integers(len(options)))]


def _wood_tone(rng: Generator) -> Colour:
    return colour(hue=rng.uniform(0.05, 0.10), saturation=rng.uniform(0.3, 0.7), value=rng.uniform(0.32, 0.82))


def _paint(rng: Generator, *, hue: float) -> Colour:
    """Paint furniture white, black or in the room's hue."""
    kind = rng.uniform()
    if kind < 0.5:
        return colour(hue=0.1, saturation=0.04, value=rng.uniform(0.85, 0.95))
    if kind < 0.65:
        return colour(hue=0.6, saturation=0.1, value=rng.uniform(0.15, 0.3))
    return colour(hue=hue, saturation=rng.uniform(0.2, 0.55), value=rng.uniform(0.4, 0.8))


def _accent(rng: Generator, *, hue: float) -> Material:
    return plain(colour(hue=hue, saturation=rng.uniform(0.25, 0.85), value=rng.uniform(0.25, 0.85)))


def _cloth(rng: Generator, *, hue: float, saturation: float) -> Material:
    tone = colour(hue=hue, saturation=saturation * rng.uniform(0.15, 1.0), value=rng.uniform(0.25, 0.85))
    second = colour(hue=hue + 0.1, saturation=rng.uniform(0.05, 0.5), value=rng.uniform(0.4, 0.95))
    kind = rng.uniform()
    if kind < 0.65:
        return textures.fabric(rng, tone=tone)
    if kind < 0.85:
        return textures.plaid(rng, tone=tone, second=second)
    return textures.stripes(rng, tone=tone, second=second, metres=float(rng.uniform(0.12, 0.4)))


def _wall(rng: Generator, *, hue: float, bold: float) -> Material:
    """Draw a wall covering, often a warm white; `bold` 1 gives the one wall that stands out."""
    if rng.uniform() < 0.45:
        hue = float(rng.uniform(0.06, 0.14))
    tone = colour(
        hue=hue, saturation=rng.uniform(0.04, 0.22) + 0.25 * bold, value=rng.uniform(0.76, 0.95) - 0.22 * bold
    )
    second = colour(hue=hue + 0.04, saturation=rng.uniform(0.1, 0.35), value=rng.uniform(0.55, 0.95))
    kind = rng.uniform() + 0.25 * bold
    if kind < 0.6:
        return textures.plaster(rng, tone=tone)
    if kind < 0.75:
        return textures.stripes(rng, tone=tone, second=second, metres=float(rng.uniform(0.25, 0.7)))
    if kind < 1.05:
        return textures.ornaments(rng, tone=tone, second=second, metres=float(rng.uniform(0.3, 0.7)))
    return textures.bricks(
        rng, tone=colour(hue=rng.uniform(0.0, 0.08), saturation=rng.uniform(0.1, 0.55), value=rng.uniform(0.5, 0.85))
    )


def _floor(rng: Generator) -> Material:
    kind = rng.uniform()
    if kind < 0.5:
        return textures.planks(rng, tone=_wood_tone(rng), gloss=float(rng.uniform(0.15, 0.3)))
    if kind < 0.78:
        hue = float(rng.uniform(0.02, 0.65))
        light = colour(hue=hue, saturation=rng.uniform(0.03, 0.25), value=rng.uniform(0.6, 0.9))
        dark = colour(hue=hue, saturation=rng.uniform(0.1, 0.4), value=rng.uniform(0.15, 0.55))
        joint = colour(hue=hue, saturation=0.08, value=rng.uniform(0.3, 0.6))
        return textures.tiles(rng, tone=light, second=dark if rng.uniform() < 0.4 else light, joint=joint)
    tone = colour(hue=rng.uniform(), saturation=rng.uniform(0.05, 0.4), value=rng.uniform(0.35, 0.7))
    return textures.carpet(rng, tone=tone)

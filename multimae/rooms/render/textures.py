"""What surfaces look like: bitmaps made from noise and arithmetic, in linear light."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]
PIXELS = 192


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Say how a surface reflects or shines.

    `bitmap`: reflectance (rows, columns, 3), 0 to 1 in linear light, repeated every `metres` along the surface.
    `gloss`: roughness of a clear coat (0.05 polished to 0.3 satin), None for a dull surface.
    `glow`: radiance given off where the bitmap is 1.
    """

    bitmap: Array
    metres: float = 1.0
    gloss: float | None = None
    glow: float = 0.0


def colour(*, hue: float, saturation: float, value: float) -> Colour:
    """Turn a hue, saturation and value (0 to 1, as on a screen) into linear light."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(1.0, max(0.0, saturation)), min(1.0, max(0.0, value)))
    return red**2.2, green**2.2, blue**2.2


def plain(tone: Colour, *, gloss: float | None = None, glow: float = 0.0) -> Material:
    """Paint a surface in one colour."""
    return Material(bitmap=np.array(tone).reshape(1, 1, 3), gloss=gloss, glow=glow)


def wood(rng: Generator, *, tone: Colour, gloss: float | None = None) -> Material:
    """Draw wood whose grain runs along the bitmap's columns."""
    return _finish(_tinted(tone, 0.20 * _grain(rng, rows=PIXELS, columns=PIXELS)), metres=1.1, gloss=gloss)


def planks(rng: Generator, *, tone: Colour, gloss: float | None = None) -> Material:
    """Draw a floor of staggered boards."""
    boards, rows = 8, PIXELS // 8
    image = np.zeros((PIXELS, PIXELS, 3))
    for board in range(boards):
        grain = 0.16 * _grain(rng, rows=rows, columns=PIXELS)
        cut = int(rng.integers(PIXELS // 2))
        shade = np.repeat(rng.normal(1.0, 0.11, 2), PIXELS // 2)
        strip = _tinted(tone, grain) * np.roll(shade, cut)[None, :, None]
        strip[0] *= 0.45
        strip[:, [cut, (cut + PIXELS // 2) % PIXELS]] *= 0.5
        image[board * rows : (board + 1) * rows] = strip
    return _finish(image, metres=float(rng.uniform(0.9, 1.5)), gloss=gloss)


def tiles(rng: Generator, *, tone: Colour, second: Colour, joint: Colour, count: int = 4) -> Material:
    """Draw square tiles, chequered where `second` differs from `tone`."""
    step = PIXELS // count
    row, column = np.indices((PIXELS, PIXELS))
    odd = ((row // step + column // step) % 2 == 1)[..., None]
    image = np.where(odd, np.array(second), np.array(tone))
    shade = rng.normal(1.0, 0.05, (count, count)).repeat(step, 0).repeat(step, 1)
    image = image * (shade + 0.05 * noise(rng, rows=step * count, columns=step * count, roughness=1.2))[..., None]
    gap = ((row % step < 2) | (column % step < 2))[..., None]
    return _finish(np.where(gap, np.array(joint), image), metres=float(rng.uniform(0.9, 1.7)), gloss=0.12)


def carpet(rng: Generator, *, tone: Colour) -> Material:
    """Draw the speckle of a fitted carpet."""
    speckle = 0.14 * rng.standard_normal((PIXELS, PIXELS))
    blotches = 0.10 * noise(rng, rows=PIXELS, columns=PIXELS, roughness=1.4)
    return _finish(_tinted(tone, speckle + blotches), metres=1.3)


def plaster(rng: Generator, *, tone: Colour) -> Material:
    """Draw a painted wall with faint unevenness."""
    return _finish(_tinted(tone, 0.035 * noise(rng, rows=PIXELS, columns=PIXELS, roughness=1.3)), metres=2.0)


def stripes(rng: Generator, *, tone: Colour, second: Colour, metres: float) -> Material:
    """Draw upright stripes, `metres` wide as a set."""
    position = np.arange(PIXELS) / PIXELS
    edges = np.sort(rng.uniform(0.1, 0.9, 3))
    pick = np.searchsorted(edges, position) % 2 == 1
    image = np.where(pick[None, :, None], np.array(second), np.array(tone)) * np.ones((PIXELS, 1, 1))
    return _finish(image * (1 + 0.03 * rng.standard_normal((PIXELS, PIXELS, 1))), metres=metres)


def ornaments(rng: Generator, *, tone: Colour, second: Colour, metres: float) -> Material:
    """Draw wallpaper with a repeated flower made of cosines, every other row shifted by half."""
    y, x = np.mgrid[0:PIXELS, 0:PIXELS] / PIXELS
    mark = np.zeros((PIXELS, PIXELS))
    petals, size = int(rng.integers(3, 8)), float(rng.uniform(0.16, 0.26))
    for centre_x, centre_y in ((0.25, 0.25), (0.75, 0.75)):
        radius = np.hypot(x - centre_x, y - centre_y)
        angle = np.arctan2(y - centre_y, x - centre_x)
        mark += np.clip((size * (0.7 + 0.3 * np.cos(petals * angle)) - radius) / 0.02, 0, 1)
    image = np.array(tone) + mark[..., None] * (np.array(second) - np.array(tone))
    return _finish(image * (1 + 0.03 * rng.standard_normal((PIXELS, PIXELS, 1))), metres=metres)


def bricks(rng: Generator, *, tone: Colour) -> Material:
    """Draw a brick wall in running bond."""
    rows, columns = 12, 4
    height, width = PIXELS // rows, PIXELS // columns
    row, column = np.indices((PIXELS, PIXELS))
    shifted = (column + (row // height % 2) * width // 2) % PIXELS
    shade = rng.normal(1.0, 0.14, (rows, columns))[row // height, shifted // width]
    rough = 0.08 * noise(rng, rows=PIXELS, columns=PIXELS, roughness=0.8)
    mortar = ((row % height < 2) | (shifted % width < 2))[..., None]
    return _finish(np.where(mortar, 0.42, np.array(tone) * (shade + rough)[..., None]), metres=1.0)


def fabric(rng: Generator, *, tone: Colour) -> Material:
    """Draw woven cloth."""
    threads = 0.07 * (rng.standard_normal((PIXELS, 1)) + rng.standard_normal((1, PIXELS)))
    blotches = 0.06 * noise(rng, rows=PIXELS, columns=PIXELS, roughness=1.2)
    return _finish(_tinted(tone, threads + blotches), metres=0.7)


def plaid(rng: Generator, *, tone: Colour, second: Colour) -> Material:
    """Draw cloth with crossing bands."""
    bands = rng.uniform(0, 1, 8) ** 2
    row = bands.repeat(PIXELS // 8)
    blend = (row[:, None] + row[None, :])[..., None] / 2
    image = np.array(tone) * (1 - blend) + np.array(second) * blend
    return _finish(image * (1 + 0.04 * rng.standard_normal((PIXELS, PIXELS, 1))), metres=float(rng.uniform(0.25, 0.6)))


def rug(rng: Generator, *, tone: Colour, second: Colour, third: Colour) -> Material:
    """Draw a rug to be stretched over its whole area: borders around a mirrored field."""
    y, x = np.abs(np.mgrid[-1 : 1 : PIXELS * 1j, -1 : 1 : PIXELS * 1j])
    kind = int(rng.integers(3))
    waves = rng.integers(2, 7, 2)
    if kind == 0:
        field = np.cos(np.pi * waves[0] * x) + np.cos(np.pi * waves[1] * y)
    elif kind == 1:
        field = np.cos(np.pi * waves[0] * (x + y)) + 0.5
    else:
        field = np.cos(np.pi * (waves[0] + 2) * y) + 0.2
    image = np.where((field > 0.4)[..., None], np.array(second), np.array(tone))
    edge = np.maximum(x, y)
    image = np.where(((edge > 0.8) & (edge < 0.9))[..., None], np.array(third), image)
    image = np.where((edge >= 0.93)[..., None], np.array(second), image)
    return _finish(image * (1 + 0.10 * rng.standard_normal((PIXELS, PIXELS, 1))))


def painting(rng: Generator) -> Material:
    """Draw a picture to be stretched over its frame: a landscape, an abstract or a poster."""
    y, x = np.mgrid[0:96, 0:96] / 95.0
    y = 1 - y  # a bitmap's first row is the bottom
    hues = rng.uniform(0, 1, 4)
    kind = int(rng.integers(3))
    if kind == 0:
        image = _landscape(rng, y=y, x=x)
    elif kind == 1:
        image = np.ones((96, 96, 3)) * np.array(colour(hue=hues[0], saturation=0.3, value=0.9))
        for hue in np.repeat(hues, 2):
            low, high = np.sort(rng.uniform(0, 1, (2, 2)), axis=0)
            inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
            image[inside] = colour(hue=hue, saturation=rng.uniform(0.3, 0.9), value=rng.uniform(0.2, 0.9))
    else:
        image = np.ones((96, 96, 3)) * np.array(colour(hue=hues[0], saturation=0.15, value=0.92))
        for hue in hues:
            centre, radius = rng.uniform(0.2, 0.8, 2), rng.uniform(0.08, 0.3)
            inside = np.hypot(x - centre[0], y - centre[1]) < radius
            image[inside] = colour(hue=hue, saturation=0.7, value=rng.uniform(0.3, 0.95))
    return _finish(image)


def outdoors(rng: Generator, *, glow: float) -> Material:
    """Draw the shining view through a window: sky above trees or roofs."""
    y, x = np.mgrid[0:96, 0:96] / 95.0
    y = 1 - y
    return _finish(_landscape(rng, y=y, x=x), glow=glow)


def noise(rng: Generator, *, rows: int, columns: int, roughness: float, stretch: float = 1.0) -> Array:
    """Draw noise that repeats without a seam, mean 0 and standard deviation 1; high `roughness` is smoother."""
    down = np.fft.fftfreq(rows)[:, None] * rows
    across = np.fft.fftfreq(columns)[None, :] * columns * stretch
    distance = np.maximum(np.hypot(down, across), 1.0)
    spectrum = np.fft.fft2(rng.standard_normal((rows, columns))) * distance**-roughness
    spectrum[0, 0] = 0
    values = np.fft.ifft2(spectrum).real
    return np.asarray(values / values.std(), dtype=np.float64)


def _landscape(rng: Generator, *, y: Array, x: Array) -> Array:
    """Paint sky over a few ridges; `y` goes down from the top, 0 to 1."""
    sky = np.array(colour(hue=rng.uniform(0.53, 0.62), saturation=0.35, value=1.0))
    haze = np.array(colour(hue=rng.uniform(0.05, 0.6), saturation=0.10, value=1.0))
    image = sky + (haze - sky) * np.clip(y * 1.6, 0, 1)[..., None]
    for layer in range(int(rng.integers(1, 4))):
        waves = sum(np.sin(2 * np.pi * (k * x + rng.uniform())) * rng.uniform(0.01, 0.05) for k in (1, 2, 5))
        ridge = 0.5 + 0.14 * layer + waves
        ground = colour(hue=rng.uniform(0.15, 0.4), saturation=rng.uniform(0.2, 0.6), value=0.62 - 0.13 * layer)
        image = np.where((y > ridge)[..., None], np.array(ground), image)
    return np.asarray(image, dtype=np.float64)


def _grain(rng: Generator, *, rows: int, columns: int) -> Array:
    return noise(rng, rows=rows, columns=columns, roughness=1.1, stretch=9.0)


def _tinted(tone: Colour, change: Array) -> Array:
    return np.asarray(np.array(tone) * (1 + change)[..., None], dtype=np.float64)


def _finish(image: Array, *, metres: float = 1.0, gloss: float | None = None, glow: float = 0.0) -> Material:
    """Keep reflectance in what real surfaces show: nothing reflects all light or none."""
    return Material(bitmap=np.clip(image, 0.01, 0.92 if glow == 0 else 1.0), metres=metres, gloss=gloss, glow=glow)

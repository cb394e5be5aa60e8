"""An image file as a viewer shows it: turned as its EXIF entry says, transparent parts over white. Free of torch.

Pillow, because it raises on a truncated file where OpenCV hands back an image that is half black. Every reader of this
project opens files here, so that a photograph is the same in training, in a demo and for a labelling network.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from PIL import ExifTags, Image, ImageOps

from multimae.data.image_formats import advice
from multimae.data.sample import DataError

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error)
"""What Pillow raises where bytes are missing or wrong."""
DAMAGED_EXIF = (*DAMAGED, TypeError, KeyError, AttributeError)
WHITE = (255, 255, 255, 255)
SWAPS_SIDES = frozenset({5, 6, 7, 8})
"""Orientations of EXIF that lay an upright photograph on its side."""

# Pillow warns from 89 million pixels on, once for every size of an image, and refuses twice as many: what it does not
# refuse is read. Of a damaged EXIF entry it warns, too: such a photograph is shown as it is stored.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)


class TooManyPixelsError(DataError):
    """Report an image of more pixels than Pillow reads."""


@contextmanager
def opened(path: Path, *, what: str) -> Iterator[Image.Image]:
    """Open and decode an image file, upright; raise DataError that names it where it cannot be read as `what`."""
    try:
        with Image.open(path) as image:
            image.load()
            # After the pixels: a damaged entry must not hide that they are torn.
            with suppress(*DAMAGED_EXIF):
                ImageOps.exif_transpose(image, in_place=True)
            yield image
    except Image.DecompressionBombError as error:
        raise too_many_pixels(path) from error
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be decoded as {what}: {error}; {advice(path)}") from error


def too_many_pixels(path: Path) -> TooManyPixelsError:
    """Return the error on an image that is larger than Pillow reads."""
    return TooManyPixelsError(
        f"{path}: has more pixels than the {2 * (Image.MAX_IMAGE_PIXELS or 0):,} that are read; shrink it, or remove "
        "its sample"
    )


def in_colours(image: Image.Image, *, mode: Literal["L", "RGB"] = "RGB") -> Image.Image:
    """Return a picture of any mode in grey or colour, what is transparent over white, as viewers show it.

    The colours stored where nothing is opaque are whatever its editor left there.
    """
    if not image.has_transparency_data:
        return image.convert(mode)
    layered = image.convert("RGBA")
    if not is_opaque(layered):
        layered = Image.alpha_composite(Image.new("RGBA", layered.size, WHITE), layered)
    return layered.convert("RGB").convert(mode)


def is_opaque(image: Image.Image) -> bool:
    """Say whether nothing of a picture is transparent."""
    return not image.has_transparency_data or not any(image.convert("RGBA").getchannel("A").histogram()[:255])


def orientation(path: Path) -> int:
    """Return how EXIF says that a file is to be turned, 1 (not at all) to 8; 1 where it does not say."""
    with suppress(OSError), Image.open(path) as image:
        return orientation_of(image)
    return 1


def orientation_of(image: Image.Image) -> int:
    """Return how the EXIF entry of an opened file says that it is to be turned; a PNG is decoded to look for one."""
    with suppress(*DAMAGED_EXIF):
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return found if found in range(1, 9) else 1
    return 1

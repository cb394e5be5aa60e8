"""What an image file says of itself ahead of its pixels. Free of torch."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from multimae.data.images import SWAPS_SIDES, orientation_of, too_many_pixels

WidthHeight = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Hold the head of a file: `stored` is its size before EXIF turns it."""

    mode: str
    stored: WidthHeight
    orientation: int
    transparent: bool

    @property
    def shown(self) -> WidthHeight:
        """Return the size that viewers show."""
        return self.stored[::-1] if self.orientation in SWAPS_SIDES else self.stored


def read_header(path: Path) -> Header:
    """Read the head of a file; raise DataError where it promises more pixels than are read."""
    try:
        with Image.open(path) as image:
            return Header(
                mode=image.mode,
                stored=image.size,
                # A PNG without an entry ahead of its pixels would be decoded to look behind them.
                orientation=orientation_of(image) if "exif" in image.info else 1,
                transparent=image.has_transparency_data,
            )
    except Image.DecompressionBombError as error:
        raise too_many_pixels(path) from error

"""From an array to the bytes of an image file in our layout. Free of torch."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

JPEG_QUALITY = 95
# A third of the time of Pillow's default of 6, for files 2 % larger (NYUv2's photographs and depth).
PNG_LEVEL = 4
LARGEST_MM = 65535


def write_image(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a PNG or a JPEG, as its suffix says."""
    image = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        image.save(path, "JPEG", quality=JPEG_QUALITY)
    else:
        image.save(path, "PNG", compress_level=PNG_LEVEL)


def png(pixels: NDArray[Any], *, level: int = PNG_LEVEL) -> bytes:
    """Return the bytes of a PNG; `level` is from 0, uncompressed, to 9."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def millimetres(metres: NDArray[Any]) -> NDArray[np.uint16]:
    """Return depth in whole millimetres; what is no number, not positive or does not fit 16 bits becomes 0, invalid."""
    known = np.isfinite(metres) & (metres > 0)
    codes = np.rint(np.where(known, metres, 0) * 1000.0)
    return np.where(codes <= LARGEST_MM, codes, 0).astype(np.uint16)

"""What an image file may hold, whatever its suffix says: one image, in a format that keeps what it is read for.

Free of torch. Of Pillow's formats those are read that raise where a file is cut off, at whatever byte.
"""

from pathlib import Path

from PIL import Image

from multimae.data.sample import DataError

EXACT = frozenset({"PNG", "TIFF", "BMP", "DIB"})
PHOTOGRAPHIC = EXACT | {"JPEG", "MPO", "WEBP", "GIF", "AVIF"}
LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})
BIG_ENDIAN = "I;16B"
"""Mode of 16-bit TIFFs that have the high byte first; NumPy reads them as what they are."""


class FormatError(DataError):
    """Report a whole file of a format that cannot hold what it is read for."""


def check_format(image: Image.Image, *, path: Path, modality: str, kind: str) -> None:
    """Raise unless the file holds one image, in a format that keeps the codes of such a map."""
    found = str(image.format)
    if found not in PHOTOGRAPHIC:
        raise FormatError(f"{path}: {modality} is a file in format {found}, wanted one of {sorted(PHOTOGRAPHIC)}")
    if image.mode == "F":
        raise FormatError(
            f"{path}: {modality} is stored in floating point (image mode F), wanted whole numbers; depth has 16 bits, "
            "in millimetres, 0 = invalid"
        )
    # A telephone's MPO holds a JPEG and, behind it, its depth or another view; the first is the photograph.
    if found != "MPO" and getattr(image, "is_animated", False):
        num_images = getattr(image, "n_frames", "several")
        raise FormatError(f"{path}: the file holds {num_images} images, wanted one; write each to a file of its own")
    compression = image.info.get("compression") if found == "TIFF" else None
    if kind != "image" and (found not in EXACT or compression in LOSSY_TIFF):
        inside = f"{found} with compression {compression}" if found == "TIFF" else found
        raise FormatError(
            f"{path}: {modality} is stored as {inside}, which changes codes; write it as PNG again, from where it came "
            "from: the codes in this file are lost"
        )


def advice(path: Path) -> str:
    """Say why a file may not be readable here and what to do about it."""
    suffix = path.suffix.lower()
    if suffix in (".avif", ".webp") and suffix not in Image.registered_extensions():
        return f"the Pillow that is installed here reads no {suffix}: pip install --upgrade pillow, or convert it"
    return "restore the file or remove it"

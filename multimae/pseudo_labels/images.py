"""The images to be labelled: found below one folder, and read as training reads them."""

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from multimae.data.decode import decode
from multimae.data.files import PHOTOGRAPHIC, composed, images_below, refuse_lost
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.spec import spec

# Decoding wants the facts of a data set; those of RGB files are the same in all.
_ANY = spec("rooms")


def list_images(rgb_dir: Path) -> tuple[str, ...]:
    """Return the images below a folder as sorted paths relative to it; raise DataError where some cannot be read."""
    if not rgb_dir.is_dir():
        raise DataNotFoundError(f"no folder {rgb_dir}; --rgb is the folder that holds the images, at any depth")
    found, left_out = images_below(rgb_dir, reads=PHOTOGRAPHIC)
    refuse_lost(left_out, where=rgb_dir)
    if not found:
        raise DataError(f"no images below {rgb_dir}; looked for .{', .'.join(sorted(PHOTOGRAPHIC))}")
    _check_distinct(rgb_dir, found)
    return tuple(found)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return RGB of shape [height, width, 3]; raises DataError that names the file."""
    return decode(path, modality="rgb", spec=_ANY)


def label_name(image: str) -> str:
    """Return the path of an image's label, relative to the modality's folder."""
    return str(PurePosixPath(image).with_suffix(".png"))


def _check_distinct(rgb_dir: Path, images: list[str]) -> None:
    by_label: dict[str, str] = {}
    for image in images:
        other = by_label.setdefault(composed(label_name(image)), image)
        if other is not image:
            raise DataError(f"{rgb_dir / other} and {rgb_dir / image} would have the same label; remove one")

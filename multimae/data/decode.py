"""From one image file to a checked array. Free of torch.

Pillow, because it raises on a truncated file where OpenCV hands back an image that is half black.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec

Array = NDArray[Any]

MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "rgb": frozenset({"RGB", "L", "P", "RGBA", "CMYK"}),
        "depth": frozenset({"I;16", "I"}),
        "semseg": frozenset({"L", "P"}),
        "mask_valid": frozenset({"L", "P"}),
        "normal": frozenset({"RGB"}),
    }
)
"""Pillow's modes that can hold each modality; an 8-bit depth map would be read in the wrong unit."""


def decode(path: Path, *, modality: str, spec: DatasetSpec) -> Array:
    """Return uint8 [h, w, 3] for rgb and normal, uint16 [h, w] for depth, uint8 [h, w] for semseg and mask_valid."""
    array = _pixels(path, modality)
    if modality == "semseg":
        _check_labels(path, array, spec)
    elif modality == "mask_valid":
        _check(path, array, (array != 0) & (array != 255), "a validity mask holds 0 (invalid) and 255 (valid) only")
    elif modality == "depth" and array.dtype != np.uint16:
        _check(path, array, (array < 0) | (array > 65535), "depth is 16-bit millimetres")
        array = array.astype(np.uint16)
    return array


def shrink(array: Array, *, modality: str, store_size: int) -> Array:
    """Resize so that the shorter side is `store_size`, never up: area-weighted for rgb, else the centre-most pixel."""
    height, width = array.shape[:2]
    scale = store_size / min(height, width)
    if scale >= 1:
        return array
    new_height, new_width = round(height * scale), round(width * scale)
    if modality == "rgb":
        return np.asarray(Image.fromarray(array).resize((new_width, new_height), Image.Resampling.BILINEAR))
    rows = ((np.arange(new_height) + 0.5) * height / new_height).astype(np.intp)
    columns = ((np.arange(new_width) + 0.5) * width / new_width).astype(np.intp)
    nearest: Array = array[rows[:, None], columns]
    return nearest


def _pixels(path: Path, modality: str) -> Array:
    allowed = MODES[modality]
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in allowed:
                raise DataError(f"{path}: {modality} has image mode {image.mode}, wanted one of {sorted(allowed)}")
            return np.asarray(image.convert("RGB") if modality == "rgb" else image)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decoded as {modality}: {error}; restore the file or remove it") from error


def _check_labels(path: Path, labels: Array, spec: DatasetSpec) -> None:
    wanted = f"{spec.name} has labels 0 (unlabelled) to {spec.num_classes}"
    if labels.max() > spec.num_classes:
        _check(path, labels, labels > spec.num_classes, wanted)


def _check(path: Path, array: Array, wrong: NDArray[np.bool_], wanted: str) -> None:
    if wrong.any():
        values, counts = np.unique(array[wrong], return_counts=True)
        raise DataError(f"{path}: {counts.sum()} pixels hold the values {values[:10].tolist()}; {wanted}")

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
from multimae.modalities import modality as modality_named

Array = NDArray[Any]

MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "image": frozenset({"RGB", "L", "P", "RGBA", "CMYK"}),
        "depth": frozenset({"I;16", "I"}),
        "labels": frozenset({"L", "P"}),
        "validity": frozenset({"L", "P"}),
        "normals": frozenset({"RGB"}),
    }
)
"""Pillow's modes that can hold each kind of map; an 8-bit depth map would be read in the wrong unit."""


def decode(path: Path, *, modality: str, spec: DatasetSpec) -> Array:
    """Return uint8 [h, w, 3] for rgb and normal, uint16 [h, w] for depth, uint8 [h, w] for other maps.

    Labels are 0 (unlabelled) or a class from 1, however they are stored.
    """
    array = _pixels(path, modality)
    kind = kind_of(modality)
    if kind == "labels":
        array = _labels_from_one(array, spec)
        _check_labels(path, array, spec)
    elif kind == "validity":
        _check(path, array, (array != 0) & (array != 255), "a validity mask holds 0 (invalid) and 255 (valid) only")
    elif kind == "depth" and array.dtype != np.uint16:
        _check(path, array, (array < 0) | (array > 65535), "depth is 16-bit millimetres")
        array = array.astype(np.uint16)
    return array


def blank(*, modality: str, height: int, width: int) -> Array:
    """Return a map that holds nothing, in the codes of the files: black, invalid, unlabelled or missing."""
    coloured = kind_of(modality) in ("image", "normals")
    channels = modality_named(modality).num_channels if coloured else 1
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.zeros(shape, dtype=np.uint16 if kind_of(modality) == "depth" else np.uint8)


def kind_of(name: str) -> str:
    """Return what kind of map a folder holds: its modality's, or `validity` for `mask_valid`."""
    return "validity" if name == "mask_valid" else modality_named(name).kind


def shrink(array: Array, *, modality: str, store_size: int) -> Array:
    """Resize so that the shorter side is `store_size`, never up: area-weighted for rgb, else the centre-most pixel."""
    height, width = array.shape[:2]
    scale = store_size / min(height, width)
    if scale >= 1:
        return array
    new_height, new_width = round(height * scale), round(width * scale)
    if kind_of(modality) == "image":
        return np.asarray(Image.fromarray(array).resize((new_width, new_height), Image.Resampling.BILINEAR))
    rows = ((np.arange(new_height) + 0.5) * height / new_height).astype(np.intp)
    columns = ((np.arange(new_width) + 0.5) * width / new_width).astype(np.intp)
    nearest: Array = array[rows[:, None], columns]
    return nearest


def _pixels(path: Path, modality: str) -> Array:
    kind = kind_of(modality)
    allowed = MODES[kind]
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in allowed:
                raise DataError(f"{path}: {modality} has image mode {image.mode}, wanted one of {sorted(allowed)}")
            if kind != "image":
                return np.asarray(image)
            return np.asarray(image.convert("L" if modality_named(modality).num_channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decoded as {modality}: {error}; restore the file or remove it") from error


def _labels_from_one(labels: Array, spec: DatasetSpec) -> Array:
    # In 8 bits 255 + 1 is 0: unlabelled becomes unlabelled.
    return labels if spec.first_label else labels.astype(np.uint8) + np.uint8(1)


def _check_labels(path: Path, labels: Array, spec: DatasetSpec) -> None:
    if labels.max() <= spec.num_classes:
        return
    unlabelled = 0 if spec.first_label else 255
    last = spec.num_classes - 1 + spec.first_label
    wanted = f"{spec.name} has labels {spec.first_label} to {last}, and {unlabelled} for unlabelled"
    stored = labels if spec.first_label else labels - np.uint8(1)
    _check(path, stored, labels > spec.num_classes, wanted)


def _check(path: Path, array: Array, wrong: NDArray[np.bool_], wanted: str) -> None:
    if wrong.any():
        values, counts = np.unique(array[wrong], return_counts=True)
        raise DataError(f"{path}: {counts.sum()} pixels hold the values {values[:10].tolist()}; {wanted}")

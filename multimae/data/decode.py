"""From one image file to a checked array. Free of torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.arrangements import PSEUDO
from multimae.data.image_formats import BIG_ENDIAN, check_format
from multimae.data.images import SWAPS_SIDES, in_colours, opened, orientation
from multimae.data.labels import label_code
from multimae.data.sample import DataError, SampleMaps, StoredMap
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import modality as modality_named

Array = NDArray[Any]

MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "image": frozenset({"RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr"}),
        "depth": frozenset({"I;16", "I"}),
        "labels": frozenset({"L", "P"}),
        "validity": frozenset({"L", "P"}),
        "normals": frozenset({"RGB"}),
        "domain": frozenset({"I;16", "I", "L", "RGB"}),
    }
)
"""Pillow's modes that can hold each kind of map; an 8-bit depth map would be read in the wrong unit."""
EIGHT_BITS = frozenset({"L", "RGB"})


def decode(path: Path, *, modality: str, spec: DatasetSpec) -> Array:
    """Return uint8 [h, w, 3] for rgb and normal, uint16 [h, w] for depth, uint8 [h, w] for labels and validity.

    Depth is 0 wherever nothing was measured, whichever codes the files have for it. Labels are 0 (unlabelled) or a
    class from 1, however they are stored. Domains of Taskonomy keep their codes: uint16 [h, w] where they have 16 bits,
    else uint8 [h, w] or [h, w, channels].
    """
    return interpret(_pixels(path, modality), path=path, modality=modality, spec=spec)


def read_map(place: Path | StoredMap, *, modality: str, spec: DatasetSpec) -> Array:
    """Return one map as `decode` does, from a file or a shard."""
    if isinstance(place, Path):
        return decode(place, modality=modality, spec=spec)
    return interpret(place.restored(), path=Path(str(place)), modality=modality, spec=spec)


def check_same_size(sample: SampleMaps, arrays: Mapping[str, Array]) -> None:
    """Raise unless all maps of a sample have the same height and width."""
    sizes = {name: array.shape[:2] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{sample.paths[name]} is {width}x{height}" for name, (height, width) in sizes.items())
        drawn = drawn_unturned(sample.paths, {name: (width, height) for name, (height, width) in sizes.items()})
        raise DataError(f"sample {sample.name!r}: modalities differ in size: {listed}{f'; {drawn}' if drawn else ''}")


def drawn_unturned(paths: Mapping[str, Path | StoredMap], sizes: Mapping[str, tuple[int, int]]) -> str:
    """Say what to do where the upright maps of a sample differ in size, and as stored do not; else nothing."""
    turned = {name for name, path in paths.items() if isinstance(path, Path) and orientation(path) in SWAPS_SIDES}
    stored = {size[::-1] if name in turned else size for name, size in sizes.items()}
    if not turned or len(stored) > 1:
        return ""
    return (
        f"EXIF turns {', '.join(sorted(turned))} by 90 degrees, and the sizes match only without that: the others were "
        "drawn on the photograph as it is stored. Turn them as well, or take the entry out of the photograph"
    )


def interpret(pixels: Array, *, path: Path, modality: str, spec: DatasetSpec) -> Array:
    """Return pixels as `decode` does, checked; `path` is where they came from, for the error."""
    array, kind = pixels, kind_of(modality)
    if kind == "labels":
        array = _classes_from_one(array, path=path, modality=modality, spec=spec)
    elif kind == "validity":
        _check(path, array, (array != 0) & (array != 255), "a validity mask holds 0 (invalid) and 255 (valid) only")
    elif array.dtype not in (np.uint8, np.uint16):
        _check(path, array, (array < 0) | (array > 65535), f"{modality} has 16 bits")
        array = array.astype(np.uint16)
    if kind == "depth" and spec.invalid_depth:
        array = _measured(array, invalid=spec.invalid_depth)
    return _first_channels(path, array, modality=modality) if kind == "domain" else array


def spec_in(folder: str, *, described: DatasetSpec) -> DatasetSpec:
    """Return what describes the maps of a folder: predicted depth uses all 16 bits, whatever measured depth does."""
    return replace(described, invalid_depth=()) if folder.startswith(PSEUDO) else described


def blank(*, modality: str, height: int, width: int) -> Array:
    """Return a map that holds nothing, in the codes of the files: black, invalid, unlabelled or missing."""
    kind = kind_of(modality)
    channels = modality_named(modality).num_channels if kind in ("image", "normals", "domain") else 1
    shape = (height, width) if channels == 1 else (height, width, channels)
    sixteen_bits = kind == "depth" or (kind == "domain" and modality_named(modality).full_scale > 255)
    return np.zeros(shape, dtype=np.uint16 if sixteen_bits else np.uint8)


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
    with opened(path, what=modality) as image:
        check_format(image, path=path, modality=modality, kind=kind)
        if image.mode not in MODES[kind] and not (image.mode == BIG_ENDIAN and "I;16" in MODES[kind]):
            doubt = "; is it a depth map?" if kind == "image" and image.mode.startswith("I") else ""
            wanted = f"wanted one of {sorted(MODES[kind])}{doubt}"
            raise DataError(f"{path}: {modality} has image mode {image.mode}, {wanted}")
        if kind == "domain":
            _check_bits(path, image.mode, modality)
        if kind != "image":
            return np.asarray(image)
        return np.asarray(in_colours(image, mode="L" if modality_named(modality).num_channels == 1 else "RGB"))


def _check_bits(path: Path, mode: str, modality: str) -> None:
    """Raise unless the domain is stored in the bits its codes are of; the rest would be off by a factor of 257."""
    wanted = 8 if modality_named(modality).full_scale <= 255 else 16
    found = 8 if mode in EIGHT_BITS else 16
    if found != wanted:
        raise DataError(f"{path}: {modality} has {found} bits (image mode {mode}), wanted {wanted} as Taskonomy has")


def _first_channels(path: Path, array: Array, *, modality: str) -> Array:
    """Keep the channels that count, such as two of the three of curvatures."""
    channels = modality_named(modality).num_channels
    planes = array if array.ndim == 3 else array[..., None]
    if planes.shape[2] < channels:
        raise DataError(f"{path}: {modality} has {planes.shape[2]} channels, wanted {channels}")
    kept: Array = planes[..., 0] if channels == 1 else planes[..., :channels]
    return kept


def _classes_from_one(stored: Array, *, path: Path, modality: str, spec: DatasetSpec) -> Array:
    """Return classes from 1, 0 for unlabelled, whatever the files count from and however fine their classes are."""
    if spec.label_map and modality == "semseg":
        table = np.array(spec.label_map, dtype=np.uint8)
        _check(path, stored, stored >= len(table), f"{spec.name} reads labels 0 to {len(table) - 1}")
        mapped: Array = table[stored]
        return mapped
    code = label_code(modality, spec=spec)
    # In 8 bits 255 + 1 is 0: unlabelled becomes unlabelled.
    labels = stored if code.first_label else stored.astype(np.uint8) + np.uint8(1)
    if labels.max() > code.num_classes:
        last, unlabelled = code.num_classes - 1 + code.first_label, 0 if code.first_label else 255
        owner = spec.name if modality == "semseg" else modality
        wanted = f"{owner} has labels {code.first_label} to {last}, and {unlabelled} for unlabelled"
        if set(np.unique(stored[labels > code.num_classes])) == {last + 1 if code.first_label == 0 else 255}:
            wanted += f"; do they count from {1 - code.first_label}? DatasetSpec(first_label=...) says from where"
        _check(path, stored, labels > code.num_classes, wanted)
    return labels


def _measured(codes: Array, *, invalid: Sequence[int]) -> Array:
    """Return depth with 0 wherever the data set has another code for what was not measured."""
    lost = np.logical_or.reduce([codes == code for code in invalid])
    measured: Array = np.where(lost, codes.dtype.type(0), codes)
    return measured


def _check(path: Path, array: Array, wrong: NDArray[np.bool_], wanted: str) -> None:
    if wrong.any():
        values, counts = np.unique(array[wrong], return_counts=True)
        raise DataError(f"{path}: {counts.sum()} pixels hold the values {values[:10].tolist()}; {wanted}")

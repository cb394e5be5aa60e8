"""Decode the files of a sample and say what is wrong with each, and with all of them together. Free of torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data.arrangements import modality_of
from multimae.data.decode import MODES, Array, decode, drawn_unturned, kind_of, spec_in
from multimae.data.image_formats import FormatError
from multimae.data.images import TooManyPixelsError, is_opaque, opened
from multimae.data.labels import FIXED
from multimae.data.sample import DataError, SampleFiles
from multimae.data.spec import DatasetSpec, distinct_palette
from multimae.verify.findings import Finding
from multimae.verify.headers import Header, read_header
from multimae.verify.tallies import Place, Tally, UsedPalette, summed, tally_of

INVALID_ZBUFFER = 65535
COUNTED = frozenset({"depth", "labels"})
"""Kinds of maps of which codes are counted over all files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """Hold what one sample's files have shown; `depth_mm` is the median of its valid depth."""

    split: str
    name: str
    findings: tuple[Finding, ...]
    decoded: tuple[str, ...]
    depth_mm: float | None


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """Hold what several samples have shown, one by one and, of depth and labels, all together."""

    samples: tuple[Inspection, ...]
    tallies: Mapping[Place, Tally]


def inspect_all(samples: Sequence[tuple[str, SampleFiles]], *, root: Path, described: DatasetSpec) -> Inspected:
    """Inspect samples, each with its split."""
    tallies: list[tuple[Place, Tally]] = []
    found = [
        inspect(files, split=split, root=root, described=described, count=lambda *one: tallies.append(one))
        for split, files in samples
    ]
    return Inspected(samples=tuple(found), tallies=summed(tallies))


def inspect(
    files: SampleFiles, *, split: str, root: Path, described: DatasetSpec, count: Callable[[Place, Tally], object]
) -> Inspection:
    """Decode all files of a sample; whatever is wrong with one, the others are looked at, too.

    `count` is given what depth and labels hold.
    """
    findings: list[Finding] = []
    headers: dict[str, Header] = {}
    depth_mm = None
    for folder, path in files.paths.items():
        place = {"split": split, "modality": folder, "name": shown_path(path, root=root)}
        modality = modality_of(folder)
        try:
            headers[folder] = read_header(path)
            array = decode(path, modality=modality, spec=described_for(folder, described))
        # Whatever Pillow raises on a damaged file: the next file has to be looked at.
        except Exception as error:
            findings.append(Finding(kind=_kind_of_fault(error, path, modality), detail=_said(error, path), **place))
            continue
        said = (*hollow(array, modality), *_transparent(path, headers[folder], modality=modality))
        findings += [Finding(kind=kind, detail=detail, **place) for kind, detail in said]
        if kind_of(modality) in COUNTED:
            palettes = {_palette(path, headers[folder]): [place["name"]]} if kind_of(modality) == "labels" else {}
            count((split, folder), replace(tally_of(array), palettes=palettes))
        if folder == "depth" and array.any():
            depth_mm = float(np.median(array[array > 0]))
    findings += (
        Finding(kind=kind, split=split, name=files.name, detail=detail)
        for kind, detail in _misfits(headers, paths=files.paths)
    )
    return Inspection(
        split=split, name=files.name, findings=tuple(findings), decoded=tuple(files.paths), depth_mm=depth_mm
    )


def _misfits(headers: Mapping[str, Header], *, paths: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield what keeps the maps of a sample from lying on each other, with a detail."""
    shown = {folder: header.shown for folder, header in headers.items()}
    if len(set(shown.values())) > 1:
        sizes = ", ".join(f"{folder} is {width}x{height}" for folder, (width, height) in shown.items())
        unturned = drawn_unturned(paths, shown)
        yield ("unturned", f"{sizes}; {unturned}") if unturned else ("size", sizes)
        return
    stored, turns = ({getattr(header, name) for header in headers.values()} for name in ("stored", "orientation"))
    if len(turns) > 1 and len(stored) == 1:
        entries = (f"{folder} {header.orientation}" for folder, header in headers.items())
        yield "maybe_unturned", f"orientations: {', '.join(entries)}"


def _transparent(path: Path, header: Header, *, modality: str) -> Iterator[tuple[str, str]]:
    if header.transparent and kind_of(modality) == "image":
        with opened(path, what=modality) as image:
            if not is_opaque(image):
                yield "transparent", f"image mode {header.mode}"


def _palette(path: Path, header: Header) -> UsedPalette:
    if header.mode != "P":
        return b"", b""
    with opened(path, what="labels") as image:
        used = bytes(code for code, count in enumerate(image.histogram()) if count)
        return bytes(image.getpalette("RGB") or ()), used


def shown_path(path: Path, *, root: Path) -> str:
    """Return a path relative to the data set's root where it lies below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def described_for(folder: str, described: DatasetSpec) -> DatasetSpec:
    """Let predicted labels be the data set's classes or, as an input of their own, those that are always theirs."""
    if folder not in FIXED:
        return spec_in(folder, described=described)
    num_codes = max(FIXED[folder].num_classes, len(described.classes) + described.first_label)
    anything = distinct_palette(num_codes)
    return replace(described, name=folder, classes=("",) * num_codes, palette=anything, first_label=0, label_map=())


def _kind_of_fault(error: Exception, path: Path, modality: str) -> str:
    """Tell files that cannot be decoded from whole ones in a wrong format or with wrong values."""
    if isinstance(error, TooManyPixelsError):
        return "too_large"
    if not isinstance(error, DataError) or error.__cause__ is not None:
        return "undecodable"
    if isinstance(error, FormatError):
        return "format"
    kind = kind_of(modality)
    with Image.open(path) as image:
        return "values" if kind in ("labels", "validity") and image.mode in MODES[kind] else "format"


def _said(error: Exception, path: Path) -> str:
    said = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
    return said.removeprefix(f"{path}: ")


def hollow(array: Array, modality: str) -> Iterator[tuple[str, str]]:
    """Yield what a map holds nothing of, with a detail."""
    kind = kind_of(modality)
    if kind == "image" and (array == array[:1, :1]).all():
        yield "constant", f"every pixel is {np.atleast_1d(array[0, 0]).tolist()}"
    elif kind == "normals" and not array.any():
        yield "constant", "every normal is missing (0, 0, 0)"
    elif kind == "depth" and not array.any():
        yield "no_depth", "every pixel is 0 (invalid)"
    elif modality == "depth_zbuffer" and (array == INVALID_ZBUFFER).all():
        yield "no_depth", f"every pixel is {INVALID_ZBUFFER} (invalid)"
    elif kind == "labels" and not array.any():
        yield "unlabelled", "every pixel is unlabelled"
    elif kind == "validity" and not array.any():
        yield "nothing_valid", "every pixel is 0 (invalid)"

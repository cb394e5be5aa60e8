"""Decode the files of a sample and say what is wrong with each, and with all of them together. Free of torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data.arrangements import modality_of
from multimae.data.decode import MODES, Array, decode, kind_of
from multimae.data.image_formats import FormatError
from multimae.data.labels import FIXED
from multimae.data.sample import DataError, SampleFiles
from multimae.data.spec import DatasetSpec, distinct_palette
from multimae.verify.findings import Finding

INVALID_ZBUFFER = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """Hold what one sample's files have shown; `depth_mm` is the median of its valid depth."""

    split: str
    name: str
    findings: tuple[Finding, ...]
    decoded: tuple[str, ...]
    depth_mm: float | None


def inspect_all(samples: Sequence[tuple[str, SampleFiles]], *, root: Path, described: DatasetSpec) -> list[Inspection]:
    """Inspect samples, each with its split."""
    return [inspect(files, split=split, root=root, described=described) for split, files in samples]


def inspect(files: SampleFiles, *, split: str, root: Path, described: DatasetSpec) -> Inspection:
    """Decode all files of a sample; whatever is wrong with one, the others are looked at, too."""
    findings: list[Finding] = []
    sizes: dict[str, tuple[int, int]] = {}
    depth_mm = None
    for folder, path in files.paths.items():
        place = {"split": split, "modality": folder, "name": shown_path(path, root=root)}
        modality = modality_of(folder)
        try:
            sizes[folder] = _width_height(path)
            array = decode(path, modality=modality, spec=described_for(folder, described))
        # Whatever Pillow raises on a damaged file: the next file has to be looked at.
        except Exception as error:
            findings.append(Finding(kind=_kind_of_fault(error, path, modality), detail=_said(error, path), **place))
            continue
        findings += [Finding(kind=kind, detail=detail, **place) for kind, detail in hollow(array, modality)]
        if folder == "depth" and array.any():
            depth_mm = float(np.median(array[array > 0]))
    if len(set(sizes.values())) > 1:
        detail = ", ".join(f"{folder} is {width}x{height}" for folder, (width, height) in sizes.items())
        findings.append(Finding(kind="size", split=split, name=files.name, detail=detail))
    return Inspection(
        split=split, name=files.name, findings=tuple(findings), decoded=tuple(files.paths), depth_mm=depth_mm
    )


def shown_path(path: Path, *, root: Path) -> str:
    """Return a path relative to the data set's root where it lies below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def described_for(folder: str, described: DatasetSpec) -> DatasetSpec:
    """Let predicted labels be the data set's classes or, as an input of their own, those that are always theirs."""
    if folder not in FIXED:
        return described
    num_codes = max(FIXED[folder].num_classes, len(described.classes) + described.first_label)
    anything = distinct_palette(num_codes)
    return replace(described, name=folder, classes=("",) * num_codes, palette=anything, first_label=0, label_map=())


def _width_height(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _kind_of_fault(error: Exception, path: Path, modality: str) -> str:
    """Tell files that cannot be decoded from whole ones in a wrong format or with wrong values."""
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

"""Where a data set's files lie: `ROOT/{train,test}/{modality}/all/{name}.{ext}`. Free of torch.

Modalities are paired by name: pairing sorted lists by position, as the reference does, shifts every sample after a
missing file without a word.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1, sha256
from pathlib import Path
from typing import Literal

from multimae.data.sample import DataError, DataNotFoundError, SampleFiles
from multimae.data.spec import DatasetSpec

SPLITS = ("train", "test")
VALIDITY = "mask_valid"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def find_root(data_root: Path, spec: DatasetSpec) -> Path:
    """Return the folder that holds `train` or `test`: `data_root/<name>` or `data_root` itself."""
    candidates = (data_root / spec.name, data_root)
    for candidate in candidates:
        if any((candidate / split).is_dir() for split in SPLITS):
            return candidate
    looked = "\n".join(f"  {candidate}/{{{','.join(SPLITS)}}}" for candidate in candidates)
    exists = "" if data_root.is_dir() else f" ({data_root} does not exist)"
    raise DataNotFoundError(f"no {spec.title} data at {data_root}{exists}; looked for\n{looked}\n{spec.how_to_get}")


def with_validity(root: Path, split: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Add `mask_valid` to modalities that have depth, where the data set has it."""
    wanted = tuple(modalities)
    if "depth" in wanted and VALIDITY not in wanted and _folder(root, split, VALIDITY).is_dir():
        return (*wanted, VALIDITY)
    return wanted


def list_samples(root: Path, split: str, modalities: Sequence[str]) -> tuple[SampleFiles, ...]:
    """Return the samples of `ROOT/<split>`, sorted by name; every name must be there in every modality."""
    paths = {modality: _paths_by_name(root, split, modality) for modality in modalities}
    names = sorted(set().union(*paths.values()))
    if not names:
        raise DataError(f"no images in {_folder(root, split, '{' + ','.join(modalities) + '}')}")
    _check_complete(root / split, names, paths)
    return tuple(SampleFiles(name=name, paths={key: found[name] for key, found in paths.items()}) for name in names)


def fingerprint(root: Path, splits: Iterable[str], modalities: Sequence[str]) -> str:
    """Return a sha256 of names and sizes: cheap enough for every plan, and any file added, lost or rewritten shows.

    A file changed without a change of its size is not seen.
    """
    lines = []
    for split in splits:
        for modality in with_validity(root, split, modalities):
            with _scan(root, split, modality) as entries:
                lines += [f"{split}/{modality}/{entry.name} {entry.stat().st_size}" for entry in _images(entries)]
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()


def split_names(names: Iterable[str], *, val_ratio: float, part: Literal["train", "val"]) -> tuple[str, ...]:
    """Hold out about `val_ratio` of the names; a name stays in its part whichever other names there are."""
    if not 0 <= val_ratio < 1:
        raise ValueError(f"val_ratio is {val_ratio}, wanted a share in [0, 1)")
    return tuple(name for name in names if (name_order(name) < val_ratio) == (part == "val"))


def name_order(name: str) -> float:
    """Map a name to [0, 1), evenly and for ever: a shuffle that needs no seed and survives new files."""
    return int.from_bytes(sha1(name.encode()).digest()[:8]) / 2**64


def _folder(root: Path, split: str, modality: str) -> Path:
    return root / split / modality / "all"


def _scan(root: Path, split: str, modality: str) -> "os._ScandirIterator[str]":
    folder = _folder(root, split, modality)
    try:
        return os.scandir(folder)
    except FileNotFoundError:
        split_dir = root / split
        there = sorted(entry.name for entry in split_dir.iterdir()) if split_dir.is_dir() else "not even its split"
        raise DataNotFoundError(f"no folder {folder}; in {split_dir} there is {there}") from None


def _images(entries: Iterable[os.DirEntry[str]]) -> Iterable[os.DirEntry[str]]:
    return (entry for entry in entries if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES)  # noqa: PTH122


def _paths_by_name(root: Path, split: str, modality: str) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    with _scan(root, split, modality) as entries:
        for entry in _images(entries):
            path = Path(entry.path)
            other = paths.setdefault(path.stem, path)
            if other is not path:
                raise DataError(f"{other} and {path.name} are two files for one sample; remove one")
    return paths


def _check_complete(folder: Path, names: Sequence[str], paths: Mapping[str, Mapping[str, Path]]) -> None:
    gaps = []
    for modality, found in paths.items():
        if missing := [name for name in names if name not in found]:
            examples = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            gaps.append(f"{modality} lacks {len(missing)} of {len(names)} names: {examples}")
    if gaps:
        raise DataError(f"modalities do not match in {folder}: {'; '.join(gaps)}. Add the files or remove the rest")

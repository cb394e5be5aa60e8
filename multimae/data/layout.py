"""Where a data set's files lie: `ROOT/{train,test}/{modality}/{class, or all}/{name}.{ext}`. Free of torch.

Modalities are paired by name: pairing sorted lists by position, as the reference does, shifts every sample after a
missing file without a word. Where there is no `test`, `val` serves, as published splits are often called.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha1, sha256
from pathlib import Path
from typing import Literal

from multimae.data.sample import DataError, DataNotFoundError, Samples
from multimae.data.spec import DatasetSpec

SPLITS = ("train", "test")
SPLIT_FOLDERS = {"train": ("train",), "test": ("test", "val")}
VALIDITY = "mask_valid"
NO_CLASS = "all"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})

Missing = Literal["error", "allow"]


def find_root(data_root: Path, spec: DatasetSpec) -> Path:
    """Return the folder that holds `train` or `test`: `data_root/<name>` or `data_root` itself."""
    candidates = (data_root / spec.name, data_root)
    for candidate in candidates:
        if any((candidate / folder).is_dir() for folders in SPLIT_FOLDERS.values() for folder in folders):
            return candidate
    looked = "\n".join(f"  {candidate}/{{{','.join(SPLITS)}}}" for candidate in candidates)
    exists = "" if data_root.is_dir() else f" ({data_root} does not exist)"
    raise DataNotFoundError(f"no {spec.title} data at {data_root}{exists}; looked for\n{looked}\n{spec.how_to_get}")


def split_dir(root: Path, split: str) -> Path:
    """Return the folder of a split."""
    known = [root / name for name in SPLIT_FOLDERS.get(split, (split,))]
    return next((folder for folder in known if folder.is_dir()), known[0])


def with_validity(root: Path, split: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Add `mask_valid` to modalities that have depth, where the data set has it."""
    wanted = tuple(modalities)
    if "depth" in wanted and VALIDITY not in wanted and (split_dir(root, split) / VALIDITY).is_dir():
        return (*wanted, VALIDITY)
    return wanted


def list_samples(
    root: Path,
    split: str,
    modalities: Sequence[str],
    *,
    folders: Mapping[str, str] | None = None,
    missing: Missing = "error",
) -> Samples:
    """Return the samples of `ROOT/<split>`, sorted by name; by default every name must be there in every modality.

    `folders`: a modality's folder where it is not its name, such as `pseudo_depth`. `missing="allow"` keeps samples
    that lack some of the modalities.
    """
    home = split_dir(root, split)
    places = {modality: home / (folders or {}).get(modality, modality) for modality in modalities}
    found = {modality: _suffixes_by_name(place) for modality, place in places.items()}
    names = sorted(set().union(*found.values()))
    if not names:
        raise DataError(f"no images in {home / ('{' + ','.join(place.name for place in places.values()) + '}')}")
    if missing == "error":
        _check_complete(home, names, found)
    return Samples(
        names=tuple(names),
        folders={modality: _folder_of_names(place) for modality, place in places.items()},
        suffixes={modality: _compact(suffixes, names=names) for modality, suffixes in found.items()},
    )


def labels(root: Path, split: str, names: Iterable[str]) -> dict[str, str]:
    """Return the class name of each sample: its folder's, or what the split's labels.csv (name,label) says."""
    table = split_dir(root, split) / "labels.csv"
    if not table.is_file():
        by_folder = {name: name.rpartition("/")[0] for name in names}
        if without := [name for name, label in by_folder.items() if not label]:
            raise DataError(f"{len(without)} samples have no class, such as {without[0]}: use class folders or {table}")
        return by_folder
    listed = dict(line.split(",", maxsplit=1) for line in table.read_text("utf-8").split("\n")[1:] if line)
    if unlisted := [name for name in names if name not in listed]:
        raise DataError(f"{table} lacks {len(unlisted)} samples, such as {unlisted[0]}; add them")
    return {name: listed[name] for name in names}


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of the training split's classes in the order of their numbers; none where there are none."""
    home = split_dir(root, "train")
    if (home / "labels.csv").is_file():
        rows = (home / "labels.csv").read_text("utf-8").split("\n")[1:]
        return tuple(sorted({row.split(",", maxsplit=1)[1] for row in rows if row}))
    if not home.is_dir():
        return ()
    folders = {entry.name for modality in home.iterdir() if modality.is_dir() for entry in _subfolders(modality)}
    return tuple(sorted(folders - {NO_CLASS}))


def fingerprint(root: Path, splits: Iterable[str], modalities: Sequence[str]) -> str:
    """Return a sha256 of names and sizes: cheap enough for every plan, and any file added, lost or rewritten shows.

    A file changed without a change of its size is not seen.
    """
    lines = []
    for split in splits:
        for modality in with_validity(root, split, modalities):
            lines += [
                f"{split}/{modality}/{name} {entry.stat().st_size}" for name, entry in _images(root, split, modality)
            ]
        table = split_dir(root, split) / "labels.csv"
        if table.is_file():
            lines.append(f"{split}/labels.csv {sha256(table.read_bytes()).hexdigest()}")
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()


def split_names(names: Iterable[str], *, val_ratio: float, part: Literal["train", "val"]) -> tuple[str, ...]:
    """Hold out about `val_ratio` of the names; a name stays in its part whichever other names there are."""
    if not 0 <= val_ratio < 1:
        raise ValueError(f"val_ratio is {val_ratio}, wanted a share in [0, 1)")
    return tuple(name for name in names if (name_order(name) < val_ratio) == (part == "val"))


def few_of(names: Sequence[str], *, ratio: float, seed: int, groups: Mapping[str, str] | None) -> tuple[str, ...]:
    """Keep a share of the names, at least one; of every group (class) alike where there are `groups`.

    For one seed a smaller share is part of a larger one, whatever else is trained.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"train_ratio is {ratio}, wanted a share in (0, 1]")
    if ratio == 1:
        return tuple(names)
    by_group: dict[str, list[str]] = {}
    for name in names:
        by_group.setdefault((groups or {}).get(name, ""), []).append(name)
    kept = set()
    for members in by_group.values():
        ordered = sorted(members, key=lambda name: name_order(f"{seed}:{name}"))
        kept |= set(ordered[: max(1, round(ratio * len(members)))])
    return tuple(name for name in names if name in kept)


def name_order(name: str) -> float:
    """Map a name to [0, 1), evenly and for ever: a shuffle that needs no seed and survives new files."""
    return int.from_bytes(sha1(name.encode()).digest()[:8]) / 2**64


def _folder_of_names(place: Path) -> Path:
    """Return the folder that names are relative to: the only class folder `all` is left out of them."""
    return place / NO_CLASS if (place / NO_CLASS).is_dir() else place


def _subfolders(place: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(place) as entries:
        yield from (entry for entry in entries if entry.is_dir())


def _images_in(place: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield every image below a modality's folder with its path relative to the folder of names."""
    if not place.is_dir():
        home = place.parent
        there = sorted(entry.name for entry in home.iterdir()) if home.is_dir() else "not even its split"
        raise DataNotFoundError(f"no folder {place}; in {home} there is {there}")
    classes = [NO_CLASS] if (place / NO_CLASS).is_dir() else sorted(entry.name for entry in _subfolders(place))
    for label in classes:
        prefix = "" if label == NO_CLASS else f"{label}/"
        with os.scandir(place / label) as entries:
            for entry in entries:
                if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122  # of millions of names
                    yield prefix + entry.name, entry


def _images(root: Path, split: str, modality: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    return _images_in(split_dir(root, split) / modality)


def _suffixes_by_name(place: Path) -> dict[str, str]:
    suffixes: dict[str, str] = {}
    for file, entry in _images_in(place):
        name, suffix = os.path.splitext(file)  # noqa: PTH122
        other = suffixes.setdefault(name, suffix)
        if other is not suffix and other != suffix:
            raise DataError(
                f"{_folder_of_names(place) / (name + other)} and {entry.name} are two files for one sample; remove one"
            )
    return suffixes


def _compact(suffixes: Mapping[str, str], *, names: Sequence[str]) -> str | Mapping[str, str]:
    """Keep one suffix for all names where that says everything."""
    kinds = set(suffixes.values())
    return next(iter(kinds)) if len(kinds) == 1 and len(suffixes) == len(names) else suffixes


def _check_complete(folder: Path, names: Sequence[str], found: Mapping[str, Mapping[str, str]]) -> None:
    gaps = []
    for modality, suffixes in found.items():
        if missing := [name for name in names if name not in suffixes]:
            examples = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            gaps.append(f"{modality} lacks {len(missing)} of {len(names)} names: {examples}")
    if gaps:
        raise DataError(f"modalities do not match in {folder}: {'; '.join(gaps)}. Add the files or remove the rest")

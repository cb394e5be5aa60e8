"""Which samples a data set has: `ROOT/{train,val,test}/{modality}/{class, or all}/{name}.{ext}`. Free of torch.

Modalities are paired by name: pairing sorted lists by position, as the reference does, shifts every sample after a
missing file without a word. Folders as published are read, too (`arrangements.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1, sha256
from pathlib import Path
from typing import Literal

from multimae.data.arrangements import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from multimae.data.arrangements import NO_CLASS as NO_CLASS
from multimae.data.arrangements import SPLITS, VALIDITY, Place, arrangement, is_arranged
from multimae.data.sample import DataError, DataNotFoundError, Samples
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import MODALITIES

MEASURED = frozenset({"depth", "normals", "domain"})
"""Kinds of maps that `mask_valid` speaks of."""

Missing = Literal["error", "allow"]


def find_root(data_root: Path, spec: DatasetSpec) -> Path:
    """Return the folder that holds the splits: one of the data set's names in `data_root`, or `data_root` itself."""
    candidates = (*(data_root / name for name in spec.folder_names), data_root)
    for candidate in candidates:
        if is_arranged(candidate):
            return candidate
    looked = "\n".join(f"  {candidate}/{{{','.join(SPLITS)}}}" for candidate in candidates)
    exists = "" if data_root.is_dir() else f" ({data_root} does not exist)"
    raise DataNotFoundError(f"no {spec.title} data at {data_root}{exists}; looked for\n{looked}\n{spec.how_to_get}")


def split_dir(root: Path, split: str) -> Path:
    """Return the folder of a split; all splits of a data set may lie in one."""
    return arrangement(root).home(split)


def own_val(root: Path) -> bool:
    """Say whether the data set has a validation split of its own, beside the test split."""
    return arrangement(root).own_val


def with_validity(root: Path, split: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Add `mask_valid` to modalities that may be invalid somewhere, where the data set has it."""
    wanted = tuple(modalities)
    if VALIDITY in wanted or not any(name in MODALITIES and MODALITIES[name].kind in MEASURED for name in wanted):
        return wanted
    there = arrangement(root).place(split, VALIDITY).folder.is_dir()
    return (*wanted, VALIDITY) if there else wanted


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
    arranged = arrangement(root)
    places = {modality: arranged.place(split, (folders or {}).get(modality, modality)) for modality in modalities}
    found = {modality: _suffixes_by_name(place) for modality, place in places.items()}
    names = set[str]().union(*found.values())
    if not names:
        raise DataError(f"no images of {split} in {', '.join(str(place.folder) for place in places.values())}")
    if missing == "error":
        names.update(*(place.names or () for place in places.values()))
        _check_complete(arranged.home(split), sorted(names), found)
    return Samples(
        names=tuple(sorted(names)),
        folders={modality: place.base for modality, place in places.items()},
        suffixes={modality: _compact(suffixes, num_names=len(names)) for modality, suffixes in found.items()},
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
    arranged = arrangement(root)
    table = arranged.home("train") / "labels.csv"
    if not table.is_file():
        return arranged.class_names()
    rows = table.read_text("utf-8").split("\n")[1:]
    return tuple(sorted({row.split(",", maxsplit=1)[1] for row in rows if row}))


def fingerprint(root: Path, splits: Iterable[str], modalities: Sequence[str]) -> str:
    """Return a sha256 of names and sizes: cheap enough for every plan, and any file added, lost or rewritten shows.

    A file changed without a change of its size is not seen.
    """
    arranged = arrangement(root)
    lines = []
    for split in splits:
        for modality in with_validity(root, split, modalities):
            files = arranged.place(split, modality).files()
            lines += [f"{split}/{modality}/{name}{suffix} {entry.stat().st_size}" for name, suffix, entry in files]
        table = arranged.home(split) / "labels.csv"
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


def _suffixes_by_name(place: Place) -> dict[str, str]:
    suffixes: dict[str, str] = {}
    for name, suffix, entry in place.files():
        other = suffixes.setdefault(name, suffix)
        if other is not suffix and other != suffix:
            raise DataError(f"{place.base / (name + other)} and {entry.name} are two files for one sample; remove one")
    return suffixes


def _compact(suffixes: Mapping[str, str], *, num_names: int) -> str | Mapping[str, str]:
    """Keep one suffix for all names where that says everything."""
    kinds = set(suffixes.values())
    return next(iter(kinds)) if len(kinds) == 1 and len(suffixes) == num_names else suffixes


def _check_complete(folder: Path, names: Sequence[str], found: Mapping[str, Mapping[str, str]]) -> None:
    gaps = []
    for modality, suffixes in found.items():
        if missing := [name for name in names if name not in suffixes]:
            examples = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            gaps.append(f"{modality} lacks {len(missing)} of {len(names)} names: {examples}")
    if gaps:
        raise DataError(f"modalities do not match in {folder}: {'; '.join(gaps)}. Add the files or remove the rest")

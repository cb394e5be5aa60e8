"""A data set packed by `multimae data pack`: `ROOT/packed.json` and `ROOT/{train,val,test}/{number}.{tar,npz}`.

Random access, so that samplers, orders and resuming are the same as with plain files. Free of torch at import.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from multimae.data.manifest import NAME, Manifest, read_manifest
from multimae.data.packed.shards import Index, Member, OpenFiles, index_path, joined, read_index
from multimae.data.sample import DataError, DataNotFoundError

MARK = "packed.json"
SCHEMA = 1
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedMaps:
    """Name where the maps of one sample lie, one per modality."""

    name: str
    paths: Mapping[str, Member]


@dataclass(frozen=True, kw_only=True)
class PackedSamples(Sequence[PackedMaps]):
    """List the samples of one packed split by name; `rows` are theirs in the table, `columns` the modalities'.

    `folders` holds the place of what lies beside a modality's maps, as it does for plain files.
    """

    names: tuple[str, ...]
    rows: NDArray[np.intp]
    columns: Mapping[str, int]
    folders: Mapping[str, Path]
    table: Index
    shards: tuple[Path, ...]
    shard_of_row: NDArray[np.uint16]
    file: OpenFiles

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[PackedMaps]:
        return (self._maps(position) for position in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> PackedMaps: ...
    @overload
    def __getitem__(self, index: slice) -> "PackedSamples": ...
    def __getitem__(self, index: int | slice) -> "PackedMaps | PackedSamples":
        if isinstance(index, slice):
            return replace(self, names=self.names[index], rows=self.rows[index])
        return self._maps(index)

    def only(self, names: Sequence[str]) -> "PackedSamples":
        """Keep these samples, in this order."""
        rows = np.array([self._row_of_name[name] for name in names], dtype=np.intp)
        return replace(self, names=tuple(names), rows=rows)

    @cached_property
    def _row_of_name(self) -> dict[str, int]:
        return dict(zip(self.names, self.rows.tolist(), strict=True))

    def _maps(self, position: int) -> PackedMaps:
        row = int(self.rows[position])
        path = self.shards[self.shard_of_row[row]]
        paths = {
            modality: self.table.member(row, column, path=path, file=self.file)
            for modality, column in self.columns.items()
            if self.table.sizes[row, column]
        }
        return PackedMaps(name=self.names[position], paths=paths)


def is_packed(root: Path) -> bool:
    """Say whether a root holds shards instead of images."""
    return (root / MARK).is_file()


def list_packed(
    root: Path, split: str, modalities: Sequence[str], *, folders: Mapping[str, str] | None, missing: str
) -> PackedSamples:
    """Return the samples of a packed split, as `layout.list_samples` does those of plain files."""
    shards = _shards(root, split)
    indices = [read_index(index_path(shard)) for shard in shards]
    table = joined(indices)
    packed_as = {modality: (folders or {}).get(modality, modality) for modality in modalities}
    if absent := sorted(set(packed_as.values()) - set(table.modalities)):
        raise DataNotFoundError(
            f"{split} of {root} is packed without {', '.join(absent)}; there is {', '.join(table.modalities)}. Pack "
            "again with those"
        )
    columns = {modality: table.modalities.index(name) for modality, name in packed_as.items()}
    rows = np.flatnonzero(table.sizes[:, list(columns.values())].any(axis=1))
    samples = PackedSamples(
        names=tuple(table.names[row] for row in rows),
        rows=rows,
        columns=columns,
        folders={modality: root / split_of(root, split) / name for modality, name in packed_as.items()},
        table=table,
        shards=shards,
        shard_of_row=np.repeat(np.arange(len(shards), dtype=np.uint16), [len(one.names) for one in indices]),
        file=OpenFiles(),
    )
    if missing == "error":
        _check_complete(samples, where=root / split)
    return samples


def packed_modalities(root: Path, split: str) -> tuple[str, ...]:
    """List what a split was packed with."""
    return read_index(index_path(_shards(root, split)[0])).modalities


def packed_classes(root: Path) -> tuple[str, ...]:
    """Return the names of the training split's classes, those its samples are named after."""
    names = (name for shard in _shards(root, "train") for name in read_index(index_path(shard)).names)
    return tuple(sorted({name.rpartition("/")[0] for name in names} - {""}))


def packed_fingerprint(root: Path, splits: Iterable[str]) -> str:
    """Return a sha256 of the hashes of all files of some splits, as they were recorded when they were written."""
    wanted = {split_of(root, split) for split in splits}
    records = [record for record in _manifest(root).files.values() if record.split in wanted]
    lines = sorted(f"{record.path} {record.sha256}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split_of(root: Path, split: str) -> str:
    """Name the folder of a split: `val` serves where there is no `test`."""
    return "val" if split == "test" and not (root / "test").is_dir() else split


def _shards(root: Path, split: str) -> tuple[Path, ...]:
    """Return the shards of a split, whose sizes are still those that were written."""
    folder = split_of(root, split)
    records = _manifest(root).files
    shards = tuple(root / path for path in sorted(records) if path.startswith(f"{folder}/") and path.endswith(".tar"))
    if not shards:
        raise DataNotFoundError(f"{root} is packed without {split}; pack it with --splits ... {split}")
    for shard in shards:
        wanted = records[str(shard.relative_to(root))].num_bytes
        if not shard.is_file() or shard.stat().st_size != wanted:
            found = f"{shard.stat().st_size} bytes" if shard.is_file() else "missing"
            raise DataError(f"{shard} is {found}, wanted {wanted} bytes; pack again, the other shards are kept")
    return shards


def _manifest(root: Path) -> Manifest:
    manifest = read_manifest(root)
    if manifest is None or not manifest.complete:
        raise DataError(
            f"{root} is not packed to the end ({NAME} is {'missing' if manifest is None else 'not complete'}); run the "
            "same `multimae data pack` again, it goes on where it was"
        )
    schema = json.loads((root / MARK).read_text("utf-8"))["schema"]
    if schema != SCHEMA:
        raise DataError(f"{root} is packed in schema {schema}, wanted {SCHEMA}; pack it again with this release")
    return manifest


def _check_complete(samples: PackedSamples, *, where: Path) -> None:
    gaps = []
    for modality, column in samples.columns.items():
        rows = np.flatnonzero(samples.table.sizes[samples.rows, column] == 0)
        if len(rows):
            examples = ", ".join(samples.names[row] for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
            gaps.append(f"{modality} lacks {len(rows)} of {len(samples)} names: {examples}")
    if gaps:
        raise DataError(f"modalities do not match in {where}: {'; '.join(gaps)}. Add the files and pack again")

"""A data set packed by `multimae data pack`: `ROOT/packed.json` and `ROOT/{train,val,test}/{number}.{tar,npz}`.

Free of torch at import.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from multimae.data.dataset import Missing, OpenedDataset
from multimae.data.manifest import NAME, Manifest, read_manifest
from multimae.data.packed.samples import PackedSamples
from multimae.data.packed.shards import OpenFiles, ShardIndex, index_path, joined, read_index
from multimae.data.sample import DataError, DataNotFoundError

MARK = "packed.json"
SCHEMA = 1


def is_packed(root: Path) -> bool:
    """Say whether a root holds shards instead of images."""
    return (root / MARK).is_file()


@dataclass(frozen=True, kw_only=True)
class PackedSplit:
    """Hold the shards of a split and one index of all; `num_rows` counts the samples of each shard, in order."""

    shards: tuple[Path, ...]
    table: ShardIndex
    num_rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PackedDataset(OpenedDataset):
    """List the samples of a packed data set; opening it reads nothing, so that whatever is wrong is found later."""

    _read: dict[str, PackedSplit] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def own_val(self) -> bool:
        """Whether there is a validation split beside the test split."""
        return (self.root / "val").is_dir() and (self.root / "test").is_dir()

    def split_dir(self, split: str) -> Path:
        """Return the folder of a split: `val` serves where there is no `test`."""
        return self.root / ("val" if split == "test" and not (self.root / "test").is_dir() else split)

    def has(self, split: str, folder: str) -> bool:
        """Say whether a split was packed with a modality."""
        return folder in self.modalities(split)

    def modalities(self, split: str) -> tuple[str, ...]:
        """List the modalities that a split was packed with."""
        return self._split(split).table.modalities

    def samples(
        self,
        split: str,
        modalities: Sequence[str],
        *,
        folders: Mapping[str, str] | None = None,
        missing: Missing = "error",
    ) -> PackedSamples:
        """Return the samples of a split, sorted by name; by default every name must be there in every modality."""
        read = self._split(split)
        table = read.table
        packed_as = {modality: (folders or {}).get(modality, modality) for modality in modalities}
        if absent := sorted(set(packed_as.values()) - set(table.modalities)):
            raise DataNotFoundError(
                f"{split} of {self.root} is packed without {', '.join(absent)}; there is "
                f"{', '.join(table.modalities)}. Pack again with those"
            )
        columns = {modality: table.modalities.index(name) for modality, name in packed_as.items()}
        rows = np.flatnonzero(table.sizes[:, list(columns.values())].any(axis=1))
        samples = PackedSamples(
            names=tuple(table.names[row] for row in rows),
            folders={modality: self.split_dir(split) / name for modality, name in packed_as.items()},
            rows=rows,
            columns=columns,
            table=table,
            shards=read.shards,
            shard_of_row=np.repeat(np.arange(len(read.shards), dtype=np.uint16), read.num_rows),
            file=OpenFiles(),
        )
        if missing == "error":
            _check_complete(samples, where=self.root / split)
        return samples

    def fingerprint(self, splits: Iterable[str], modalities: Sequence[str]) -> str:
        """Return a sha256 of the hashes recorded when the files were written; it covers all modalities."""
        wanted = {self.split_dir(split).name for split in splits}
        records = [record for record in self._manifest.files.values() if record.split in wanted]
        lines = sorted(f"{record.path} {record.sha256}" for record in records)
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

    def _classes_of_train(self) -> tuple[str, ...]:
        return tuple(sorted({name.rpartition("/")[0] for name in self._split("train").table.names} - {""}))

    def _split(self, split: str) -> PackedSplit:
        if split not in self._read:
            shards = self._shards(split)
            indices = [read_index(index_path(shard)) for shard in shards]
            num_rows = tuple(len(index.names) for index in indices)
            self._read[split] = PackedSplit(shards=shards, table=joined(indices), num_rows=num_rows)
        return self._read[split]

    def _shards(self, split: str) -> tuple[Path, ...]:
        """Return the shards of a split, whose sizes are still those that were written."""
        folder, records = self.split_dir(split).name, self._manifest.files
        paths = (path for path in sorted(records) if path.startswith(f"{folder}/") and path.endswith(".tar"))
        shards = tuple(self.root / path for path in paths)
        if not shards:
            raise DataNotFoundError(f"{self.root} is packed without {split}; pack it with --splits ... {split}")
        for shard in shards:
            wanted = records[str(shard.relative_to(self.root))].num_bytes
            if not shard.is_file() or shard.stat().st_size != wanted:
                found = f"{shard.stat().st_size} bytes" if shard.is_file() else "missing"
                raise DataError(f"{shard} is {found}, wanted {wanted} bytes; pack again, the other shards are kept")
        return shards

    @cached_property
    def _manifest(self) -> Manifest:
        manifest = read_manifest(self.root)
        if manifest is None or not manifest.complete:
            raise DataError(
                f"{self.root} is not packed to the end ({NAME} is {'missing' if manifest is None else 'not complete'});"
                " run the same `multimae data pack` again, it goes on where it was"
            )
        schema = json.loads((self.root / MARK).read_text("utf-8"))["schema"]
        if schema != SCHEMA:
            raise DataError(
                f"{self.root} is packed in schema {schema}, wanted {SCHEMA}; pack it again with this release"
            )
        return manifest

    def __getstate__(self) -> dict[str, Any]:
        # Another process reads again what it needs.
        return {"root": self.root, "spec": self.spec, "_read": {}}


def _check_complete(samples: PackedSamples, *, where: Path) -> None:
    gaps = []
    for modality in samples.columns:
        if missing := samples.lacking(modality):
            examples = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            gaps.append(f"{modality} lacks {len(missing)} of {len(samples)} names: {examples}")
    if gaps:
        raise DataError(f"modalities do not match in {where}: {'; '.join(gaps)}. Add the files and pack again")

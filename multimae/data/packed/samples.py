"""The samples of a packed split, read at random, so that samplers, orders and resuming are those of plain files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from multimae.data.packed.shards import OpenFiles, ShardIndex, ShardMember
from multimae.data.sample import Samples


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedMaps:
    """Name where the maps of one sample lie, one per modality."""

    name: str
    paths: Mapping[str, ShardMember]


@dataclass(frozen=True, kw_only=True)
class PackedSamples(Samples[PackedMaps]):
    """List samples of a packed split; `rows` are theirs in the table, `columns` the modalities'."""

    rows: NDArray[np.intp]
    columns: Mapping[str, int]
    table: ShardIndex
    shards: tuple[Path, ...]
    shard_of_row: NDArray[np.uint16]
    file: OpenFiles

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

    def lacking(self, modality: str) -> tuple[str, ...]:
        """Name the samples without a map of a modality."""
        without = self.table.sizes[self.rows, self.columns[modality]] == 0
        return tuple(self.names[position] for position in np.flatnonzero(without))

    def _maps(self, position: int) -> PackedMaps:
        row = int(self.rows[position])
        path = self.shards[self.shard_of_row[row]]
        paths = {
            modality: self.table.member(row, column, path=path, file=self.file)
            for modality, column in self.columns.items()
            if self.table.sizes[row, column]
        }
        return PackedMaps(name=self.names[position], paths=paths)

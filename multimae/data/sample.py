"""Samples as they lie on disk, and what can be wrong with them. Free of torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload


class DataError(Exception):
    """Report a file or folder that does not hold what it should; training on without it would hide the fault."""


class DataNotFoundError(DataError):
    """Report a data set that is not where it was looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFiles:
    """Name the files of one sample, one per modality; `name` is `class/stem` where files lie in class folders."""

    name: str
    paths: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Samples(Sequence[SampleFiles]):
    """List the samples of one split by name; paths are made when asked for, since ImageNet has millions of them.

    `folders` holds each modality's folder, `suffixes` its files' suffix, by name where they differ (then a name without
    one has no such file).
    """

    names: tuple[str, ...]
    folders: Mapping[str, Path]
    suffixes: Mapping[str, str | Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[SampleFiles]:
        return (self._files(name) for name in self.names)

    @overload
    def __getitem__(self, index: int) -> SampleFiles: ...
    @overload
    def __getitem__(self, index: slice) -> "Samples": ...
    def __getitem__(self, index: int | slice) -> "SampleFiles | Samples":
        if isinstance(index, slice):
            return self.only(self.names[index])
        return self._files(self.names[index])

    def only(self, names: Sequence[str]) -> "Samples":
        """Keep these samples, in this order."""
        return Samples(names=tuple(names), folders=self.folders, suffixes=self.suffixes)

    def _files(self, name: str) -> SampleFiles:
        paths = {}
        for modality, folder in self.folders.items():
            suffixes = self.suffixes[modality]
            suffix = suffixes if isinstance(suffixes, str) else suffixes.get(name)
            if suffix is not None:
                paths[modality] = folder / f"{name}{suffix}"
        return SampleFiles(name=name, paths=paths)

"""Samples as they lie on disk, and what can be wrong with them. Free of torch."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload, runtime_checkable


class DataError(Exception):
    """Report a file or folder that does not hold what it should; training on without it would hide the fault."""


class DataNotFoundError(DataError):
    """Report a data set that is not where it was looked for."""


@runtime_checkable
class StoredMap(Protocol):
    """A map that is part of a file; its text says of which."""

    def restored(self) -> Any:
        """Return the stored pixels, an array of NumPy; raise DataError where they are damaged."""


@runtime_checkable
class SampleMaps(Protocol):
    """One sample: where the map of each modality lies. `name` is `class/stem` where files lie in class folders."""

    @property
    def name(self) -> str:
        """The name that all its maps share."""

    @property
    def paths(self) -> Mapping[str, Path | StoredMap]:
        """The files or stored maps, by modality; a modality that the sample lacks is left out."""


OneSample = TypeVar("OneSample", bound=SampleMaps, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Samples(Sequence[OneSample]):
    """List the samples of one split by name; `folders` holds each modality's folder, for what lies beside its maps."""

    names: tuple[str, ...]
    folders: Mapping[str, Path]

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def only(self, names: Sequence[str]) -> "Samples[OneSample]":
        """Keep these samples, in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFiles:
    """Name the files of one sample, one per modality."""

    name: str
    paths: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class PlainSamples(Samples[SampleFiles]):
    """List samples whose maps are files; paths are made when asked for, since ImageNet has millions of them.

    `suffixes` holds the suffix of each modality's files, by name where they differ. A name without one has no file.
    `spellings` holds, by modality, what stands for a name in the file's own name where that is spelled otherwise.
    """

    suffixes: Mapping[str, str | Mapping[str, str]]
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[SampleFiles]:
        return (self._files(name) for name in self.names)

    @overload
    def __getitem__(self, index: int) -> SampleFiles: ...
    @overload
    def __getitem__(self, index: slice) -> "PlainSamples": ...
    def __getitem__(self, index: int | slice) -> "SampleFiles | PlainSamples":
        if isinstance(index, slice):
            return self.only(self.names[index])
        return self._files(self.names[index])

    def only(self, names: Sequence[str]) -> "PlainSamples":
        """Keep these samples, in this order."""
        return replace(self, names=tuple(names))

    def _files(self, name: str) -> SampleFiles:
        paths = {}
        for modality, folder in self.folders.items():
            suffixes = self.suffixes[modality]
            suffix = suffixes if isinstance(suffixes, str) else suffixes.get(name)
            if suffix is not None:
                spelled = self.spellings[modality].get(name, name) if modality in self.spellings else name
                paths[modality] = folder / f"{spelled}{suffix}"
        return SampleFiles(name=name, paths=paths)

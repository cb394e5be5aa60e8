"""Samples in tar files, as WebDataset names them, with an index that says where each map lies. Free of torch.

`000003.tar` holds `class/name.rgb.jpg`, `class/name.depth.npy.zst`, ... sample by sample, so that any reader of tars
can read it; `000003.npz` holds offsets, sizes and checksums, so that this one reads any map of any sample at once.
"""

import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimae.data.decode import Array
from multimae.data.packed.codec import CODECS, SUFFIXES, Codec, restore
from multimae.data.sample import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedMap:
    """Hold one map as it is written."""

    content: bytes
    codec: Codec
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardMember:
    """Say where one map lies; `restored` reads it."""

    file: "OpenFiles"
    path: Path
    name: str
    offset: int
    num_bytes: int
    checksum: int
    codec: Codec
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"

    def content(self) -> bytes:
        """Return the bytes; raise DataError where they are not those that were written."""
        content = self.file.read(self.path, offset=self.offset, num_bytes=self.num_bytes)
        if zlib.crc32(content) != self.checksum:
            raise DataError(
                f"{self}: {len(content)} bytes at {self.offset} are not the {self.num_bytes} that were written; remove "
                "the shard and pack again, the others are kept"
            )
        return content

    def restored(self) -> Array:
        """Return the map; the array is the caller's to write to."""
        content = self.content()
        try:
            return restore(content, codec=self.codec, shape=self.shape)
        except (OSError, ValueError) as error:
            raise DataError(f"{self}: cannot be decoded: {error}") from error


class OpenFiles:
    """Keep shards open, for any number of threads and forks; another process that is sent this opens its own."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

    def read(self, path: Path, *, offset: int, num_bytes: int) -> bytes:
        """Return the bytes at an offset, fewer where the file ends."""
        if path not in self._descriptors:
            self._descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptors[path], num_bytes, offset)

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        return OpenFiles, ()

    def __del__(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Say where the maps of some samples lie, one row per sample, one column per modality.

    `sizes` is 0 where a sample lacks a modality. `shapes` ends with 0 channels for a map of two axes. `codecs` are
    positions in CODECS.
    """

    names: tuple[str, ...]
    modalities: tuple[str, ...]
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint32]
    checksums: NDArray[np.uint32]
    codecs: NDArray[np.uint8]
    shapes: NDArray[np.uint16]

    def member(self, row: int, column: int, *, path: Path, file: OpenFiles) -> ShardMember:
        """Return where one map lies, in the shard at `path`."""
        *height_width, channels = self.shapes[row, column].tolist()
        return ShardMember(
            file=file,
            path=path,
            name=f"{self.names[row]}.{self.modalities[column]}",
            offset=int(self.offsets[row, column]),
            num_bytes=int(self.sizes[row, column]),
            checksum=int(self.checksums[row, column]),
            codec=CODECS[self.codecs[row, column]],
            shape=(*height_width, channels) if channels else tuple(height_width),
        )


ARRAYS = tuple(field.name for field in fields(ShardIndex) if field.name not in ("names", "modalities"))
TEXTS = ("names", "modalities")


def write_shard(
    tar: Path, *, samples: Iterable[tuple[str, Mapping[str, EncodedMap]]], modalities: Sequence[str]
) -> None:
    """Write samples, by name, and the index beside them; the same samples give the same bytes."""
    names, rows = list[str](), list[list[tuple[int, int, int, int, tuple[int, ...]]]]()
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, maps in samples:
            names.append(name)
            rows.append([_add(archive, name, modality, maps.get(modality)) for modality in modalities])
    _write_index(
        index_path(tar),
        ShardIndex(
            names=tuple(names),
            modalities=tuple(modalities),
            offsets=_column(rows, 0, np.uint64),
            sizes=_column(rows, 1, np.uint32),
            checksums=_column(rows, 2, np.uint32),
            codecs=_column(rows, 3, np.uint8),
            shapes=_column(rows, 4, np.uint16),
        ),
    )


def index_path(tar: Path) -> Path:
    """Return where the index of a shard lies."""
    return tar.with_suffix(".npz")


def read_index(path: Path) -> ShardIndex:
    """Read one shard's index."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names, modalities = (
                tuple(stored[name].tobytes().decode(errors="surrogateescape").split("\n")) for name in TEXTS
            )
            arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in ARRAYS}
            return ShardIndex(names=names, modalities=modalities, **arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({type(error).__name__}: {error}); remove the shard and pack again"
        ) from error


def joined(indices: Sequence[ShardIndex]) -> ShardIndex:
    """Put indices of the same modalities below each other."""
    arrays = {name: np.concatenate([getattr(index, name) for index in indices]) for name in ARRAYS}
    names = tuple(name for index in indices for name in index.names)
    return ShardIndex(names=names, modalities=indices[0].modalities, **arrays)


def _add(
    archive: tarfile.TarFile, name: str, modality: str, packed: EncodedMap | None
) -> tuple[int, int, int, int, tuple[int, ...]]:
    if packed is None:
        return 0, 0, 0, 0, (0, 0, 0)
    info = tarfile.TarInfo(f"{name}.{modality}.{SUFFIXES[packed.codec]}")
    info.size, info.mode = len(packed.content), 0o644
    archive.addfile(info, io.BytesIO(packed.content))
    blocks = -(-info.size // tarfile.BLOCKSIZE)
    shape = (*packed.shape, 0)[:3]
    checksum = zlib.crc32(packed.content)
    return archive.offset - blocks * tarfile.BLOCKSIZE, info.size, checksum, CODECS.index(packed.codec), shape


def _column(rows: Sequence[Sequence[Sequence[object]]], place: int, dtype: type) -> NDArray[Any]:
    return np.array([[entry[place] for entry in row] for row in rows], dtype=dtype)


def _write_index(path: Path, index: ShardIndex) -> None:
    texts = {
        name: np.frombuffer("\n".join(getattr(index, name)).encode(errors="surrogateescape"), dtype=np.uint8)
        for name in TEXTS
    }
    np.savez(path, allow_pickle=False, **texts, **{name: getattr(index, name) for name in ARRAYS})

"""List the files of folders, tars and zips, and take them out as they are."""

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multimae.data.sample import DataError
from multimae.prepare.conversion import place

BLOCK = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """Name a file in a folder or an archive; in a tar its head starts at `head`, its content at `start`."""

    path: str
    num_bytes: int = 0
    head: int = 0
    start: int = 0

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Hold the files of a folder or an archive; `damage` says what cannot be read, "" where all can.

    `name` is what a reader knows it by: the path, and for a tar in a tar that one's name.
    """

    source: Path
    name: str
    members: tuple[Member, ...]
    damage: str = ""


def contents(source: Path) -> Contents:
    """List the files right in a folder, or all files of a tar or a zip."""
    if source.is_dir():
        with os.scandir(source) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        return Contents(source=source, name=str(source), members=tuple(Member(path=name) for name in names))
    return _contents_of_zip(source) if source.suffix == ".zip" else contents_of_tar(source)


def contents_of_tar(source: Path, *, inner: Member | None = None) -> Contents:
    """List the files of a tar, or of the tar that is a member of it."""
    found, damage = list[Member](), ""
    name = str(source) if inner is None else f"{source}: {inner.path}"
    try:
        with source.open("rb") as file:
            found += _members_of_tar(file, start=inner.start if inner else 0)
    except _TornError as error:
        found, damage = error.found, f"{name} cannot be read after {len(error.found)} files: {error}"
    except OSError as error:
        damage = f"{name} cannot be read: {error.strerror}"
    return Contents(source=source, name=name, members=tuple(found), damage=damage)


def take_out(source: Path, targets: Mapping[str, Path], *, head: int = 0) -> None:
    """Write files of a folder or an archive; of a tar they are the next ones from `head`."""
    if source.is_dir():
        for path, target in targets.items():
            place(source / path, target)
        return
    read = _read_zip(source, targets) if source.suffix == ".zip" else _read_tar(source, targets, head=head)
    for path, content in read:
        targets[path].write_bytes(content)


def _contents_of_zip(source: Path) -> Contents:
    try:
        with zipfile.ZipFile(source) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        return Contents(source=source, name=str(source), members=(), damage=f"{source} cannot be read: {error}")
    members = tuple(Member(path=info.filename, num_bytes=info.file_size) for info in files)
    return Contents(source=source, name=str(source), members=members)


class _TornError(Exception):
    """Say why a tar cannot be read to its end; `found` is what can be."""

    def __init__(self, reason: str, *, found: list[Member]) -> None:
        super().__init__(reason)
        self.found = found


def _members_of_tar(file: BinaryIO, *, start: int) -> list[Member]:
    found: list[Member] = []
    size = file.seek(0, os.SEEK_END)
    file.seek(start)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                if info.offset_data + info.size > size:
                    raise _TornError(f"{info.name} is cut off", found=found)
                if info.isfile():
                    found.append(Member(path=info.name, num_bytes=info.size, head=info.offset, start=info.offset_data))
            file.seek(archive.offset)
    except tarfile.TarError as error:
        raise _TornError(str(error), found=found) from error
    # tarfile takes the end of the file for the end of the archive.
    if file.read(BLOCK) != bytes(BLOCK):
        raise _TornError("the end is missing", found=found)
    return found


def _read_zip(source: Path, wanted: Mapping[str, Path]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for path in wanted:
            try:
                yield path, archive.read(path)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise DataError(f"{source}: {path} cannot be read: {error}; download the archive again") from error


def _read_tar(source: Path, wanted: Mapping[str, Path], *, head: int) -> Iterator[tuple[str, bytes]]:
    missing = len(wanted)
    with source.open("rb") as file:
        file.seek(head)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                stream = archive.extractfile(info) if info.name in wanted else None
                if stream is not None:
                    yield info.name, stream.read()
                    missing -= 1
                    if not missing:
                        return
    raise DataError(f"{source} has lost {missing} of its files while it was read; run the same command again")

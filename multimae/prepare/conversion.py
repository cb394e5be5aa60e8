"""Convert the published files of a data set into our layout: in parallel, whole or not at all, once.

A source lists items, each with the files it becomes, and converts one item at a time into a scratch folder. Here files
are renamed into place and recorded in the manifest; what is there and recorded is not converted again.
"""

import errno
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from PIL import Image

from multimae.data import manifest as manifests
from multimae.data.files import PHOTOGRAPHIC, why_not
from multimae.data.images import too_many_pixels
from multimae.data.manifest import FileRecord, Manifest, Provenance, read_manifest
from multimae.data.sample import DataError
from multimae.processes import spread
from multimae.record.locks import try_lock
from multimae.record.versions import versions

SCRATCH = ".unfinished"
LOCK = ".prepare.lock"
ITEMS_PER_BATCH = 8
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})
PACKAGES = ("multimae", "numpy", "pillow", "h5py", "scipy")
"""The packages that act in a preparation."""
PIXELS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "1": ("bool", 1),
        "L": ("uint8", 1),
        "P": ("uint8", 1),
        "LA": ("uint8", 2),
        "RGB": ("uint8", 3),
        "RGBA": ("uint8", 4),
        "CMYK": ("uint8", 4),
        "I;16": ("uint16", 1),
        "I;16B": ("uint16", 1),
        "I": ("uint16", 1),
    }
)
"""What Pillow's modes hold: dtype and channels; older releases open 16 bits as `I`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Name what is converted at a time, and the files it becomes, relative to the root.

    `bytes_estimate` is what these take on the disk: 0 where they are hard links.
    """

    name: str
    outputs: tuple[str, ...]
    bytes_estimate: int


@runtime_checkable
class Originals(Protocol):
    """The files of one data set before their conversion; sent to other processes, so it can be pickled."""

    def items(self) -> Sequence[Item]:
        """List all items, first of all; raise DataError where the files are not those of the data set."""

    def provenance(self) -> Provenance:
        """Say where the files come from and what is made of them."""

    def convert(self, item: Item, out: Path) -> None:
        """Write all outputs of an item below `out`, whose folders exist; raise DataError where a file is damaged."""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """Count items: `converted` now, `kept` from an earlier time, `damaged` with the reason by name."""

    converted: int
    kept: int
    damaged: Mapping[str, str]
    left_out: Mapping[str, int]

    @property
    def total(self) -> int:
        return self.converted + self.kept + len(self.damaged)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What became of an item: its files, or what was wrong with it."""

    name: str
    records: tuple[FileRecord, ...] = ()
    damage: str = ""


def prepare(
    source: Originals, *, out: Path, workers: int, progress: Callable[[int, int], object] = lambda done, total: None
) -> Converted:
    """Convert all items that `out` lacks; `progress` takes the items done and of how many.

    A damaged item is reported and left out, the others go on. A full disk raises DataError; what is there stays.
    """
    items, provenance = source.items(), source.provenance()
    try:
        with _owned(out):
            manifest = _claim(out, provenance=provenance, items=items)
            missing = [item for item in items if not _is_done(item, out=out, recorded=manifest.files)]
            _check_disk(out, missing=missing)
            kept, damaged = len(items) - len(missing), dict[str, str]()
            if missing:
                manifests.write(out, replace(manifest, complete=False))
            progress(kept, len(items))
            for done, outcome in enumerate(_outcomes(source, missing, out=out, workers=workers), start=kept + 1):
                damaged |= {outcome.name: outcome.damage} if outcome.damage else {}
                manifests.append(out, outcome.records)
                progress(done, len(items))
            if missing or not manifest.complete:
                _finish(out, provenance=provenance, damaged=damaged)
    except OSError as error:
        raise DataError(_refused(out, error)) from error
    converted = len(missing) - len(damaged)
    return Converted(converted=converted, kept=kept, damaged=damaged, left_out=provenance.left_out)


def place(source: Path, target: Path) -> None:
    """Put a file that is kept unchanged into place: a hard link, or a copy where that is impossible."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        shutil.copyfile(source, target)


def bytes_to_place(source: Path, *, out: Path) -> int:
    """Return what `place` will take on the disk of `out`, which need not exist yet: nothing for a hard link."""
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    found = source.stat()
    return 0 if found.st_dev == there.stat().st_dev else found.st_size


@contextmanager
def _owned(out: Path) -> Iterator[None]:
    """Keep other preparations out of a folder, and clear away what a killed one had begun."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        with suppress(OSError):  # a file system without locks keeps nobody out
            if not try_lock(file):
                raise DataError(f"another process is preparing {out}; wait for it, or choose another --out")
        shutil.rmtree(out / SCRATCH, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(out / SCRATCH, ignore_errors=True)


def _claim(out: Path, *, provenance: Provenance, items: Sequence[Item]) -> Manifest:
    """Return the manifest of what is there already, none of it at first; refuse files that nothing here has written."""
    outputs = [output for item in items for output in item.outputs]
    if len(set(outputs)) < len(outputs):
        [(twice, _)] = Counter(outputs).most_common(1)
        raise DataError(f"two files of {provenance.source} would become {out / twice}; remove one of them")
    manifest = read_manifest(out)
    if manifest is not None:
        return manifests.continued(manifest, root=out, provenance=provenance)
    if (stray := next((out / output for output in outputs if (out / output).exists()), None)) is not None:
        raise DataError(
            f"{stray} was not written by this command (there is no {manifests.NAME} in {out}); choose another --out, "
            "or move the files away"
        )
    return Manifest(provenance=provenance, versions=versions(PACKAGES))


def _is_done(item: Item, *, out: Path, recorded: Mapping[str, FileRecord]) -> bool:
    return all(output in recorded and _size(out / output) == recorded[output].num_bytes for output in item.outputs)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_disk(out: Path, *, missing: Sequence[Item]) -> None:
    free, needed = shutil.disk_usage(out).free, sum(item.bytes_estimate for item in missing)
    if needed > free:
        raise DataError(
            f"{out} has {free / 2**30:.2f} GiB free, the {len(missing)} items still to be converted take about "
            f"{needed / 2**30:.2f} GiB; make room or choose another --out"
        )


def _refused(out: Path, error: OSError) -> str:
    if error.errno not in NO_SPACE:
        return f"cannot write {error.filename or out}: {error.strerror or error}"
    return (
        f"the disk of {out} is full ({shutil.disk_usage(out).free / 2**30:.2f} GiB free: {error.strerror}); what is "
        "converted stays. Make room, and the same command goes on from there"
    )


def _outcomes(source: Originals, items: Sequence[Item], *, out: Path, workers: int) -> Iterator[_Outcome]:
    # Small enough that no worker is left with many while the others are done.
    size = max(1, min(ITEMS_PER_BATCH, len(items) // (4 * workers)))
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    for outcomes in spread(batches, work=partial(_convert, source, out=out), workers=workers):
        yield from outcomes


def _convert(source: Originals, items: Sequence[Item], *, out: Path) -> list[_Outcome]:
    scratch = out / SCRATCH / str(os.getpid())
    return [_convert_one(source, item, scratch=scratch, out=out) for item in items]


def _convert_one(source: Originals, item: Item, *, scratch: Path, out: Path) -> _Outcome:
    for root in (scratch, out):
        for folder in {(root / output).parent for output in item.outputs}:
            folder.mkdir(parents=True, exist_ok=True)
    try:
        source.convert(item, scratch)
        records = tuple(_record(scratch, output) for output in item.outputs)
    except (DataError, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        shutil.rmtree(scratch)
        return _Outcome(name=item.name, damage=str(error))
    for output in item.outputs:
        (scratch / output).replace(out / output)
    return _Outcome(name=item.name, records=records)


def _record(root: Path, output: str) -> FileRecord:
    path = root / output
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = file.tell()
    shape, dtype = ((), "") if why_not(path.name, reads=PHOTOGRAPHIC) else _pixels(path)
    return FileRecord(path=output, num_bytes=num_bytes, sha256=digest, shape=shape, dtype=dtype)


def _pixels(path: Path) -> tuple[tuple[int, ...], str]:
    """Read the size and the kind of pixels from the head of an image."""
    try:
        with Image.open(path) as image:
            dtype, channels = PIXELS[image.mode] if image.mode in PIXELS else (image.mode, len(image.getbands()))
            height_width = (image.height, image.width)
    except Image.DecompressionBombError as error:
        raise too_many_pixels(path) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} is no image that can be read") from error
    return (height_width if channels == 1 else (*height_width, channels)), dtype


def _finish(out: Path, *, provenance: Provenance, damaged: Mapping[str, str]) -> None:
    manifest = read_manifest(out)
    assert manifest is not None
    done = replace(manifest, provenance=provenance, complete=not damaged, damaged=damaged)
    manifests.write(out, done)

"""Unpack the rooms that ship with the package, once, into the cache."""

import hashlib
import shutil
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from multimae.data.files import PHOTOGRAPHIC, images_in
from multimae.data.sets.rooms import COMPUTED
from multimae.processes import num_cores

ARCHIVE = Path(__file__).with_name("rooms.tar.xz")
ARCHIVE_SHA256 = "4fb73f9051120dadb8fd84c5cefc6d59e922bc3ba1a3358ad887351772687c05"
ARCHIVE_FRAMES = {"train": 240, "test": 80}
FOLDERS = ("rgb", "depth", "semseg", "mask_valid", "normal")
COMPUTED_VERSION = 2
"""Counts changes of how these are computed, so that none of another version is read from a cache."""
STALE_AFTER_S = 3600.0


def unpack(cache_dir: Path) -> Path:
    """Return the folder of the shipped train/ and test/; the first time, unpack them and compute the rest.

    The folder carries the archive's digest and the version of the rest in its name and appears by a rename once it is
    whole, so that a process killed in between, or another doing the same, does no harm. Folders of other versions are
    left to those who still read them.
    """
    root = cache_dir / f"rooms-{ARCHIVE_SHA256[:12]}-{COMPUTED_VERSION}"
    if _whole(root):
        return root
    cache_dir.mkdir(parents=True, exist_ok=True)
    _remove_stale(cache_dir)
    workplace = Path(tempfile.mkdtemp(prefix=".rooms-", dir=cache_dir))
    try:
        fresh = workplace / "fresh"
        _extract(fresh)
        _add_computed(fresh)
        if not _whole(root):
            with suppress(FileNotFoundError):
                root.rename(workplace / "broken")
            with suppress(OSError):  # another process was faster
                fresh.rename(root)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    if not _whole(root):
        raise OSError(f"{root} is not whole after unpacking {ARCHIVE}; remove it and try again")
    return root


def _whole(root: Path) -> bool:
    """Say whether every folder holds as many files as the archive has frames."""
    try:
        tables = ("classes.json", *(f"{split}/labels.csv" for split in ARCHIVE_FRAMES))
        return all((root / table).is_file() for table in tables) and all(
            len(images_in(root / split / folder / "all", reads=PHOTOGRAPHIC)) == frames
            for split, frames in ARCHIVE_FRAMES.items()
            for folder in (*FOLDERS, *COMPUTED)
        )
    except (FileNotFoundError, NotADirectoryError):
        return False


def _extract(target: Path) -> None:
    if not ARCHIVE.is_file():
        raise FileNotFoundError(f"{ARCHIVE} is missing from the installed package; install multimae again")
    found = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    if found != ARCHIVE_SHA256:
        raise OSError(f"{ARCHIVE} has SHA-256 {found}, wanted {ARCHIVE_SHA256}; install multimae again")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(target, filter="data")


def _add_computed(root: Path) -> None:
    """Compute in threads: NumPy and Pillow leave Python while at work; processes would need a guarded main."""
    # Their imports take most of a second, which only the first plan on a machine has to wait for.
    from multimae.rooms.computed import lacking, write_computed

    with ThreadPoolExecutor(num_cores()) as pool:
        for split in ARCHIVE_FRAMES:
            # Taking the results raises what went wrong.
            list(pool.map(write_computed, lacking(root, split=split)))


def _remove_stale(cache_dir: Path) -> None:
    """Remove what unpacking processes left behind that were killed long ago."""
    for leftover in cache_dir.glob(".rooms-*"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > STALE_AFTER_S:
                shutil.rmtree(leftover, ignore_errors=True)

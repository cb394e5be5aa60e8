"""Check that the folders we write to keep what a run directory relies on: renames, locks, bytes forced to disk."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from experiments.doctor.diagnosis import Diagnosis
from multimae.cache import cache_dir
from multimae.record.files import write_text
from multimae.record.locks import FileLock

AREA = "files"
LEAST_FREE_GB = 20
SLOW_WRITE_S = 0.5
NUM_WRITES = 5


def check_folders(runs_dir: Path) -> Iterator[Diagnosis]:
    """Yield how the runs folder and the cache do; both are left as they were."""
    for what, folder in (("runs folder", runs_dir), ("cache", cache_dir())):
        yield from _check(folder.absolute(), what=what)


def _check(folder: Path, *, what: str) -> Iterator[Diagnosis]:
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        yield _wrong(f"{what} {folder}: {above} is no folder", fix=f"mv {above} {above}.old")
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=above) as tried:
            seconds = _seconds_of_a_write(Path(tried))
            locks = _locks(Path(tried) / "lock")
    except OSError as error:
        yield _wrong(f"{what} {folder} cannot be written to: {error.strerror}", fix=f"ls -ld {above}")
        return
    if not locks:
        yield _wrong(f"{what} {folder}: a lock held by one process is given to another; choose another file system")
    slow = seconds > SLOW_WRITE_S
    said = f"{what} {folder}: written, forced to disk and renamed in {seconds * 1000:.0f} ms"
    yield Diagnosis(area=AREA, verdict="note" if slow else "well", said=said)
    free_gb = shutil.disk_usage(above).free / 1e9
    full = free_gb < LEAST_FREE_GB
    yield Diagnosis(
        area=AREA, verdict="note" if full else "well", said=f"{what}: {free_gb:.0f} GB are free", fix=f"df -h {above}"
    )


def _seconds_of_a_write(folder: Path) -> float:
    """Return the median time of a small file's way into place."""
    took = []
    for number in range(NUM_WRITES):
        started = time.monotonic()
        write_text(folder / "file", str(number))
        if (folder / "file").read_text() != str(number):
            raise OSError(0, "a file that was replaced still reads as before")
        took.append(time.monotonic() - started)
    return sorted(took)[NUM_WRITES // 2]


def _locks(file: Path) -> bool:
    """Say whether a second process is refused a lock that this one holds."""
    with FileLock(file) as lock:
        if not lock.try_take():
            return False
        child = os.fork()
        if child == 0:
            os._exit(int(FileLock(file).try_take()))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _wrong(said: str, *, fix: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, verdict="wrong", said=said, fix=fix)

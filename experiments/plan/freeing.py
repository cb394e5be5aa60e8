"""The files of a suite that nothing needs any more, and how they are freed."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multimae.record.paths import CheckpointDir, RunDir, SuiteDir
from multimae.record.result import Result
from multimae.record.run import Run
from multimae.record.state import ACTIVE, run_state
from multimae.record.sweep import Sweep

Sort = Literal[
    "optimizer states", "checkpoints of runs in no plan", "copies of the code", "leftovers of killed writers"
]
BYTES_PER_NUMBER = 4
CARRIED_FOR_S = 7 * 24 * 3600.0
"""So long a process may still be waiting to carry a plan out, such as the job that drives a search."""
MORE_THAN_WEIGHTS = 1.5
"""A checkpoint that is larger than its weights by this much holds the optimizer's state, too."""


@dataclass(frozen=True, kw_only=True)
class Freed:
    """One thing that can be freed: how many bytes that gives, and what does it."""

    sort: Sort
    path: Path
    num_bytes: int
    free: Callable[[], object]


def unneeded(suite_dir: Path) -> Iterator[Freed]:
    """Yield what is not needed in a suite's folder; nothing of a run that is at work, and no result, ever is."""
    folders = [path.parent for path in sorted(suite_dir.glob("*/run.json"))]
    active = {folder for folder in folders if run_state(folder, now=time.time()).status in ACTIVE}
    needed = _needed(suite_dir)
    for folder in folders:
        if folder in active:
            continue
        checkpoints = RunDir(folder).checkpoints
        if needed is not None and folder.name not in needed and checkpoints.is_dir():
            yield _folder("checkpoints of runs in no plan", checkpoints)
        else:
            yield from _of_finished(folder)
        for path in sorted(folder.rglob(".*.tmp")):
            yield _file("leftovers of killed writers", path)
    carried = sorted(SuiteDir(suite_dir).carried.glob("*.pickle"))
    if not active and not any(time.time() - path.stat().st_mtime < CARRIED_FOR_S for path in carried):
        copies = SuiteDir(suite_dir).code
        yield from (_folder("copies of the code", path) for path in sorted(copies.glob("*")) if path.is_dir())
        yield from (_file("leftovers of killed writers", path) for path in carried)


def _needed(suite_dir: Path) -> set[str] | None:
    """Name the runs of the current plan and those that they start from; None where there is no plan to go by."""
    sweep = Sweep.read(suite_dir)
    if sweep is None:
        return None
    keys = set(sweep.keys)
    pending = list(keys)
    while pending:
        run = Run.read(suite_dir / pending.pop())
        fresh = set(run.depends_on if run else ()) - keys
        keys |= fresh
        pending += fresh
    return keys


def _of_finished(folder: Path) -> Iterator[Freed]:
    """Yield what a finished run keeps beyond its weights."""
    result, files = Result.read(folder), CheckpointDir(RunDir(folder).checkpoints)
    if result is None:
        return
    weights = result.num_params * BYTES_PER_NUMBER
    if files.last.exists() and weights and files.last.stat().st_size > MORE_THAN_WEIGHTS * weights:
        num_bytes = files.last.stat().st_size - weights
        yield Freed(sort="optimizer states", path=files.last, num_bytes=num_bytes, free=lambda: _keep_weights(files))
    yield from (_file("optimizer states", path) for path in (files.previous, files.fresh) if path.exists())


def _keep_weights(files: CheckpointDir) -> None:
    # Loads torch, which nothing else here needs.
    from multimae.engine.resume import keep_of_finished

    keep_of_finished(files.path, keep="weights")


def _file(sort: Sort, path: Path) -> Freed:
    return Freed(sort=sort, path=path, num_bytes=path.stat().st_size, free=lambda: path.unlink(missing_ok=True))


def _folder(sort: Sort, path: Path) -> Freed:
    num_bytes = sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
    return Freed(sort=sort, path=path, num_bytes=num_bytes, free=lambda: shutil.rmtree(path, ignore_errors=True))

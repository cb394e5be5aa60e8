"""One start of a run: what was submitted for it, which process ran it, and how it ended."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multimae.record.endings import Exit, ExitKind
from multimae.record.files import read_json, write_json
from multimae.record.job import Job
from multimae.record.lease import require_lease, take_lease
from multimae.record.paths import AttemptDir, RunDir
from multimae.record.places import Places


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The `number`-th start of the run in `run_dir`."""

    run_dir: Path
    number: int

    @property
    def folder(self) -> Path:
        """The folder of this start."""
        return RunDir(self.run_dir).attempt(self.number)

    @property
    def files(self) -> AttemptDir:
        """The files in the folder of this start."""
        return AttemptDir(self.folder)

    @property
    def spool_path(self) -> Path:
        """The events of this start."""
        return RunDir(self.run_dir).spool(self.number)

    @property
    def job(self) -> Job | None:
        """What was submitted, if anything was."""
        return Job.read(self.files.job)

    @property
    def places(self) -> Places | None:
        """Where it reads, as bound when it was submitted; None for what config.py names, as of a start by hand."""
        return Places.read(self.files.places)

    @property
    def started(self) -> float | None:
        """When the job began (unix seconds); None while it waits."""
        record = read_json(self.files.started)
        return None if record is None else float(record["time"])

    @property
    def ending(self) -> Exit | None:
        """How it ended; None while nothing has said so."""
        return Exit.read(self.files.ending)

    def start(self) -> None:
        """Take the run's lease and say who runs; a later attempt's lease makes this one give up at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        take_lease(self.run_dir, attempt=self.number)
        write_json(self.files.started, {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()})

    def require_lease(self) -> None:
        """Raise SupersededError unless this attempt owns the run; checked before anything lasting is written."""
        require_lease(self.run_dir, attempt=self.number)

    def end(self, *, kind: ExitKind, message: str) -> int:
        """Write exit.json and return the process exit code."""
        ending = Exit.of(kind, message=message, time=time.time())
        ending.write(self.files.ending)
        return ending.exit_code

    def end_rank(self, *, kind: ExitKind, message: str) -> int:
        """Write down how a rank other than 0 ended; it counts if rank 0 cannot say how the attempt did."""
        ending = Exit.of(kind, message=message, time=time.time())
        ending.write(self.files.ending_of_rank)
        return ending.exit_code

    def end_as_rank_did(self, *, otherwise: str) -> int:
        """Write exit.json from what a rank wrote down, or with the words given."""
        said = Exit.read(self.files.ending_of_rank)
        if said is None:
            return self.end(kind="error", message=otherwise)
        return self.end(kind=said.kind, message=said.message)


def attempts_of(run_dir: Path) -> tuple[Attempt, ...]:
    """Return the starts of a run, oldest first."""
    numbers: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        numbers = sorted(int(entry.name) for entry in RunDir(run_dir).attempts.iterdir() if entry.name.isdigit())
    return tuple(Attempt(run_dir=run_dir, number=number) for number in numbers)


def new_attempt(run_dir: Path) -> Attempt:
    """Create the folder of the next start; two drivers never get the same one."""
    number = max((attempt.number for attempt in attempts_of(run_dir)), default=0) + 1
    while True:
        attempt = Attempt(run_dir=run_dir, number=number)
        try:
            attempt.folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return attempt


def newest_job(run_dir: Path) -> Job | None:
    """Return the newest job that was submitted for a run.

    Attempts without a job.json are skipped: a job requeued by Slurm opens the next attempt itself, under the same id.
    """
    return next((job for attempt in reversed(attempts_of(run_dir)) if (job := attempt.job) is not None), None)


def current_attempt(run_dir: Path, *, submitted: int | None, environ: Mapping[str, str]) -> Attempt:
    """Name the attempt this process is: the one submitted, or a new one by hand or when Slurm has requeued the job.

    A requeued job runs the same command again, with SLURM_RESTART_COUNT above 0, and reads in the same places.
    """
    if submitted is None:
        return new_attempt(run_dir)
    if int(environ.get("SLURM_RESTART_COUNT", "0")) == 0:
        return Attempt(run_dir=run_dir, number=submitted)
    number = 1 + max((attempt.number for attempt in attempts_of(run_dir)), default=submitted)
    attempt = Attempt(run_dir=run_dir, number=number)
    attempt.folder.mkdir()
    places = Attempt(run_dir=run_dir, number=submitted).places
    if places is not None:
        places.write(attempt.files.places)
    return attempt

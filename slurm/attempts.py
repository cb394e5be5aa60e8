"""The driver's side of a run's `attempts/` folder: one numbered folder per submission, and what was submitted."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `job.json` says. `job_id` is None from just before the submission until the scheduler has answered."""

    attempt: int
    job_id: str | None
    executor: str
    submitted: float
    name: str


def attempt_dir(run_dir: Path, *, attempt: int) -> Path:
    """Where the files of one attempt are."""
    return run_dir / "attempts" / str(attempt)


def attempt_numbers(run_dir: Path) -> list[int]:
    """The attempts of a run, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(entry.name) for entry in (run_dir / "attempts").iterdir() if entry.name.isdigit())
    return []


def new_attempt(run_dir: Path) -> int:
    """Create the folder of the next attempt and return its number; two drivers never get the same one."""
    number = max(attempt_numbers(run_dir), default=0) + 1
    while True:
        folder = attempt_dir(run_dir, attempt=number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return number


def read_job(run_dir: Path) -> Job | None:
    """Return the newest job that was submitted for a run.

    Attempts without a job.json are skipped: a job requeued by Slurm opens the next attempt itself, under the same id.
    """
    for number in reversed(attempt_numbers(run_dir)):
        record = read_record(attempt_dir(run_dir, attempt=number) / "job.json")
        if record is not None:
            return Job(**{name: record[name] for name in Job.__dataclass_fields__})
    return None


def write_job(run_dir: Path, *, job: Job) -> None:
    """Record a submission."""
    _write_record(attempt_dir(run_dir, attempt=job.attempt) / "job.json", record=asdict(job))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None when there is no file or nothing whole in it."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _write_record(path: Path, *, record: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

"""One submission from beginning to end, such that a driver killed in the middle neither loses nor doubles a job."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from multimae.record.attempt import Attempt, new_attempt, newest_job
from multimae.record.job import Job
from multimae.record.places import Places
from slurm.cluster import Resources
from slurm.errors import SubmissionError, UnansweredError
from slurm.launcher import Launcher


def submit_attempt(
    run_dir: Path,
    *,
    launcher: Launcher,
    command: Callable[[int], Sequence[str]],
    resources: Resources,
    after: Sequence[str] = (),
    env: Mapping[str, str],
    places: Places | None = None,
) -> Job:
    """Start the next attempt of a run; `command` is given the attempt's number, the job is named after the folder.

    The attempt reads in `places`, wherever config.py is told to read later.
    `after` are ids of jobs that have to end well first: only those that still wait or run, Slurm forgets the others.
    """
    attempt = new_attempt(run_dir)
    name, number = run_dir.absolute().name, attempt.number
    intent = Job(attempt=number, job_id=None, executor=launcher.name, submitted=time.time(), name=name)
    intent.write(attempt.files.job)
    if places is not None:
        places.write(attempt.files.places)
    try:
        job_id = launcher.submit(
            command(number), attempt_dir=attempt.folder, name=name, resources=resources, after=after, env=env
        )
    except UnansweredError:
        raise  # what was written before says that a job may be queued
    except SubmissionError:
        shutil.rmtree(attempt.folder)
        raise
    job = dataclasses.replace(intent, job_id=job_id)
    job.write(attempt.files.job)
    return job


def recover(run_dirs: Iterable[Path], *, launcher: Launcher) -> None:
    """Complete the job.json of submissions whose driver was killed before the scheduler's answer was written.

    Raises UnansweredError where the scheduler does not answer now, either.
    """
    open_jobs = {
        run_dir: job for run_dir in run_dirs if (job := newest_job(run_dir)) is not None and job.job_id is None
    }
    if not open_jobs:
        return
    for run_dir, job_id in launcher.find(open_jobs).items():
        job = dataclasses.replace(open_jobs[run_dir], job_id=job_id)
        job.write(Attempt(run_dir=run_dir, number=job.attempt).files.job)

"""Questions to Slurm, each one call with a time limit; an answer that does not come is None."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multimae.record.job import JobState
from slurm.states import slurm_state

ANSWER_WITHIN_S = 20
_ACCOUNTING_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """A line of squeue."""

    job_id: str
    state: JobState
    comment: str


def queued_jobs() -> list[QueuedJob] | None:
    """List the user's jobs that Slurm's controller remembers, those that ended in the last minutes among them.

    Not by id: squeue refuses the whole question when a single id is unknown.
    """
    answer = ask(["squeue", f"--user={os.getuid()}", "--states=all", "--noheader", "--format=%A|%T|%k"])
    if answer is None:
        return None
    rows = (line.split("|", 2) for line in answer.splitlines())
    return [QueuedJob(job_id=row[0], state=slurm_state(row[1]), comment=row[2]) for row in rows if len(row) == 3]


def job_states(ids: Iterable[str]) -> dict[str, JobState]:
    """Return the state of every job: of squeue, else of sacct; one that neither knows any more has ended."""
    wanted = list(ids)
    queue = queued_jobs() if wanted else []
    if queue is None:
        return dict.fromkeys(wanted, JobState.UNKNOWN)
    states = {job.job_id: job.state for job in queue}
    missing = [job_id for job_id in wanted if job_id not in states]
    accounted = _accounted(missing) if missing else {}
    return {job_id: states.get(job_id) or accounted.get(job_id, JobState.ENDED) for job_id in wanted}


def _accounted(ids: Sequence[str]) -> dict[str, JobState]:
    # Without --starttime some versions look at today only. Sites without accounting: nothing.
    since = f"--starttime=now-{_ACCOUNTING_DAYS}days"
    columns = ["--allocations", "--noheader", "--parsable2", "--format=JobID,State"]
    answer = ask(["sacct", f"--jobs={','.join(ids)}", since, *columns])
    rows = (line.split("|", 1) for line in (answer or "").splitlines())
    return {row[0]: slurm_state(row[1]) for row in rows if len(row) == 2}


def ask(command: Sequence[str]) -> str | None:
    """Run a Slurm command; None when it is missing, fails or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

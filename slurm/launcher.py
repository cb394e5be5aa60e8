"""What every way of starting a job can do."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from multimae.record.job import JobState
from slurm.cluster import Resources


class Launcher(Protocol):
    """Start commands as jobs that live on without us, and say what became of them."""

    @property
    def name(self) -> str:
        """What `job.json` calls it."""

    @property
    def has_queue(self) -> bool:
        """Whether jobs may be submitted before the jobs they come `after` have ended well."""

    def submit(
        self,
        command: Sequence[str],
        *,
        attempt_dir: Path,
        name: str,
        resources: Resources,
        after: Sequence[str] = (),
        env: Mapping[str, str],
    ) -> str:
        """Start `command` and return the job's id. Raises SubmissionError when it is refused.

        Its output goes to `attempt_dir`/{out,err}.log. SIGTERM and SIGUSR2 mean "save and end" and reach the command.
        """

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        """Say how each job is doing; never raises for a job that is not known."""

    def cancel(self, ids: Iterable[str]) -> None:
        """Send the jobs SIGTERM, or take them out of the queue."""

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        """Return the ids of jobs that wait or run for these runs, whether or not a job.json names them.

        Raises UnansweredError where nobody can say: no answer does not mean that there is no job.
        """

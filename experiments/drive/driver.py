"""Bring work to its end: look, decide, submit what is ready and fits, again and again."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from experiments.drive.carrying import keep_code
from experiments.drive.decide import decide
from experiments.drive.work import Machine, Work
from multimae.record.attempt import newest_job
from multimae.record.job import Job, JobState
from multimae.record.paths import RunDir
from multimae.record.state import ACTIVE, RunState, run_state, with_dependencies
from multimae.record.text import one_line
from slurm.choosing import observe
from slurm.cluster import Resources
from slurm.launcher import Launcher
from slurm.submission import recover, submit_attempt


class Driver:
    """Hold the work in `suite_dir` and what this driver has submitted; everything else is read from files each time.

    Runs that paused at a rung go on once they are `promoted`.
    """

    def __init__(
        self,
        works: Iterable[Work],
        *,
        suite_dir: Path,
        launcher: Launcher,
        machine: Machine,
        hear: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`hear` is told which runs are started again, and why."""
        self.works = {work.key: work for work in works}
        self.suite_dir = suite_dir
        self.launcher = launcher
        self.machine = machine
        self.hear = hear
        self.submissions: Counter[str] = Counter()
        self.promoted: set[str] = set()

    def add(self, work: Work) -> None:
        """Take one more piece of work."""
        self.works[work.key] = work

    def recover(self) -> None:
        """Find the jobs of a driver that was killed between submitting and writing it down."""
        recover((work.folder for work in self.works.values()), launcher=self.launcher)

    def look(self) -> dict[str, RunState]:
        """Return every run's state now, in the order of the work; a run whose dependency is lost is blocked."""
        own = look_at({key: work.folder for key, work in self.works.items()}, launcher=self.launcher)
        return with_dependencies(
            own, depends_on={key: work.needs for key, work in self.works.items()}, is_lost=self.is_lost
        )

    def is_lost(self, key: str, state: RunState) -> bool:
        """Say whether a run will not finish under this driver."""
        if state.status in (*ACTIVE, "finished"):
            return False
        return state.status == "blocked" or not decide(state, submissions=self.submissions[key]).submit

    def is_over(self, states: Mapping[str, RunState]) -> bool:
        """Say whether nothing is left to wait for or to submit."""
        return all(state.status == "finished" or self.is_lost(key, state) for key, state in states.items())

    def submit_ready(self, states: Mapping[str, RunState]) -> list[str]:
        """Submit every run that should start, can start and fits; return their keys."""
        submitted: list[str] = []
        for key, work in self.works.items():
            decision = decide(states[key], submissions=self.submissions[key])
            wanted = decision.submit or (states[key].status == "paused" and key in self.promoted)
            waits_for = [need for need in work.needs if states[need].status != "finished"]
            if not wanted or (waits_for and not self.launcher.has_queue):
                continue
            if not self.launcher.has_queue and not self._fits(work.resources, states=states, submitted=submitted):
                break
            job = self._submit(work, waits_for=waits_for)
            submitted.append(key)
            if job.attempt > 1 and decision.submit:
                self.hear(f"{key}: attempt {job.attempt}, {one_line(decision.why)}")
        return submitted

    def _fits(self, asked: Resources, *, states: Mapping[str, RunState], submitted: Sequence[str]) -> bool:
        active = [key for key, state in states.items() if state.status in ACTIVE] + list(submitted)
        in_use = [self.works[key].resources for key in active]
        if asked.gpus:  # one at a time: jobs on this machine would take the same GPU
            return not in_use
        return sum(used.cpus for used in in_use) + asked.cpus <= max(self.machine.cores, asked.cpus)

    def _submit(self, work: Work, *, waits_for: Sequence[str]) -> Job:
        needed = [newest_job(self.works[need].folder) for need in waits_for]
        job = submit_attempt(
            work.folder,
            launcher=self.launcher,
            command=work.command,
            resources=work.resources,
            after=[job.job_id for job in needed if job and job.job_id],
            env=work.environment(code=self.code),
            places=work.places,
        )
        self.submissions[work.key] += 1
        return job

    @cached_property
    def code(self) -> Path:
        """The copy of the code that this driver's jobs run: the one that the plan's digests were made from."""
        return keep_code(self.suite_dir)


def look_at(folders: Mapping[str, Path], *, launcher: Launcher) -> dict[str, RunState]:
    """Return the state of the run in each folder now, what others of them do left out."""
    jobs = {key: newest_job(folder) for key, folder in folders.items()}
    unfinished = [job for key, job in jobs.items() if job and not RunDir(folders[key]).result.exists()]
    # Asked before the files are looked at: a job that ends in between has left its files by then.
    job_states = observe(unfinished, launcher=launcher)
    now = time.time()
    own: dict[str, RunState] = {}
    for key, job in jobs.items():
        known = job_states.get(job.job_id, JobState.UNKNOWN) if job and job.job_id else JobState.UNKNOWN
        own[key] = run_state(folders[key], now=now, job_state=known)
    return own

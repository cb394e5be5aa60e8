"""Bring a plan's runs to their end: look, decide, submit what is ready and fits, again and again."""

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import multimae
from benchmarks.task import Profile
from experiments.plan.planning import PlannedRun, kind_of
from slurm.attempts import read_job
from slurm.cluster import Resources
from slurm.jobs import RunState, blocked_by, decide, run_state
from slurm.launcher import Launcher, observe
from slurm.snapshot import snapshot
from slurm.states import JobState
from slurm.submission import recover, submit_attempt

ACTIVE = ("queued", "running")

# A training step frees and asks again for the same large blocks; glibc gives them back to the system in between unless
# told not to. benchmarks/speed/allocator.py measures what that costs on a CPU; other C libraries ignore the names.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of this machine local jobs may use at a time, in cores; a scheduler has limits of its own.

    `devices`: on how many devices each run trains, GPUs under the paper's profile, else processes.
    """

    cores: int
    devices: int = 1

    @classmethod
    def of_this_machine(cls, max_parallel: int | None, *, devices: int = 1) -> "Limits":
        """Use every core, or `max_parallel` of them."""
        return cls(cores=max_parallel or len(os.sched_getaffinity(0)), devices=devices)


def resources(planned: PlannedRun, *, limits: Limits) -> Resources:
    """Ask for what a run uses: on a CPU the pre-training, which everything waits for, takes all cores."""
    profile: Profile = planned.run.profile
    devices = devices_of(planned, limits=limits)
    if profile == "paper":
        return Resources(cpus=10 * devices, gpus=devices, memory_gb=64 * devices, minutes=24 * 60)
    cpus = limits.cores if kind_of(planned.run).takes_all_cores else devices
    return Resources(cpus=cpus, gpus=0, memory_gb=4, minutes=4 * 60)


def devices_of(planned: PlannedRun, *, limits: Limits) -> int:
    """Return how many devices a run trains on; nearest neighbours are remembered on one."""
    fit = kind_of(planned.run).fit(planned.run.recipe)
    return 1 if fit == "neighbours" else limits.devices


class Driver:
    """Hold the plan and what this driver has submitted; everything else is read from files each time.

    Runs that paused at a rung go on once they are `promoted`.
    """

    def __init__(self, plan: Sequence[PlannedRun], *, suite_dir: Path, launcher: Launcher, limits: Limits) -> None:
        self.plan = {planned.key: planned for planned in plan}
        self.suite_dir = suite_dir
        self.folders = {key: suite_dir / key for key in self.plan}
        self.launcher = launcher
        self.limits = limits
        self.submissions: Counter[str] = Counter()
        self.promoted: set[str] = set()
        self.code_dir = suite_dir / "code"

    def add(self, planned: PlannedRun) -> None:
        """Take one more run into the plan."""
        self.plan[planned.key] = planned
        self.folders[planned.key] = self.suite_dir / planned.key

    def recover(self) -> None:
        """Find the jobs of a driver that was killed between submitting and writing it down."""
        recover(self.folders.values(), launcher=self.launcher)

    def look(self) -> dict[str, RunState]:
        """Return every run's state now, in the plan's order; a run whose dependency is lost is blocked."""
        jobs = {key: read_job(folder) for key, folder in self.folders.items()}
        unfinished = [job for key, job in jobs.items() if job and not (self.folders[key] / "result.json").exists()]
        job_states = observe(unfinished, launcher=self.launcher)
        states: dict[str, RunState] = {}
        for key, folder in self.folders.items():
            job = jobs[key]
            known = job_states.get(job.job_id, JobState.UNKNOWN) if job and job.job_id else JobState.UNKNOWN
            state = run_state(folder, now=time.time(), job_state=known)
            lost = [need for need in self.plan[key].depends_on if self.is_lost(need, states[need])]
            states[key] = blocked_by(state, failed=lost)
        return states

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
        for key, planned in self.plan.items():
            wanted = decide(states[key], submissions=self.submissions[key]).submit or (
                states[key].status == "paused" and key in self.promoted
            )
            waits_for = [need for need in planned.depends_on if states[need].status != "finished"]
            if not wanted or (waits_for and not self.launcher.has_queue):
                continue
            asked = resources(planned, limits=self.limits)
            if not self.launcher.has_queue and not self._fits(asked, states=states, submitted=submitted):
                break
            self._submit(key, asked=asked, waits_for=waits_for)
            submitted.append(key)
        return submitted

    def _fits(self, asked: Resources, *, states: Mapping[str, RunState], submitted: Sequence[str]) -> bool:
        active = [key for key, state in states.items() if state.status in ACTIVE] + list(submitted)
        in_use = [resources(self.plan[key], limits=self.limits) for key in active]
        if asked.gpus:  # one at a time: jobs on this machine would take the same GPU
            return not in_use
        return sum(used.cpus for used in in_use) + asked.cpus <= max(self.limits.cores, asked.cpus)

    def _submit(self, key: str, *, asked: Resources, waits_for: Sequence[str]) -> None:
        folder = self.folders[key]
        devices = devices_of(self.plan[key], limits=self.limits)
        needed = [read_job(self.folders[need]) for need in waits_for]
        submit_attempt(
            folder,
            launcher=self.launcher,
            # -P: a file in the folder the sweep was started from hides no module of a job.
            command=lambda number: [
                *(sys.executable, "-P", "-m", "multimae.train"),
                *(str(folder), "--attempt", str(number)),
                *(("--devices", str(devices)) if devices > 1 else ()),
            ],
            resources=asked,
            after=[needed_job.job_id for needed_job in needed if needed_job and needed_job.job_id],
            env={"OMP_NUM_THREADS": str(max(1, asked.cpus // devices)), "PYTHONPATH": str(self.code), **ALLOCATOR},
        )
        self.submissions[key] += 1

    @cached_property
    def code(self) -> Path:
        """The copy of the library that this driver's jobs run: of the code that the plan's digests were made from."""
        return snapshot(Path(multimae.__file__).parent, into=self.code_dir)

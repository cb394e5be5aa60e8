"""Pseudo labels in jobs: the images split over shards, each a run that is submitted, watched and resumed like any."""

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.live import Live

import multimae
from experiments.drive.driver import ACTIVE, ALLOCATOR, Limits
from experiments.drive.driving import go_on_in_background, launcher_of, poll_seconds, try_lock
from experiments.drive.live import live_table, summary
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.fingerprint import digest
from experiments.plan.render import as_python
from multimae.pseudo_labels.images import label_name, list_images
from multimae.pseudo_labels.manifest import complete, make_room
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.files import write_json, write_text
from slurm.attempts import read_job
from slurm.choosing import observe
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.jobs import RunState, decide, run_state
from slurm.launcher import Launcher
from slurm.snapshot import snapshot
from slurm.states import JobState
from slurm.submission import recover, submit_attempt

SUITE = "pseudo-label"
JOB = "multimae.pseudo_labels.job"
STOPPED = 130


def label(settings: LabellingSettings, *, arguments: argparse.Namespace) -> int:
    """Submit the shards that are not finished, watch them, report; return the exit code."""
    try:
        return _label(settings, arguments=arguments)
    except (UsageError, PreconditionError) as error:
        print(f"multimae data pseudo-label: {error}", file=sys.stderr)
        return error.exit_code


def _label(settings: LabellingSettings, *, arguments: argparse.Namespace) -> int:
    suite_dir = arguments.runs_dir.resolve() / SUITE
    images = list_images(settings.rgb_dir)
    shards = plan(settings, images=images, num_shards=arguments.shards)
    for modality, source in settings.sources.items():
        make_room(
            settings.folder(modality),
            model=source.model,
            identity=settings.identity(modality),
            others="replace" if arguments.overwrite else "refuse",
        )
    for key, shard in shards.items():
        prepare(suite_dir / key, settings=shard)
        reopen(suite_dir / key, settings=shard, images=images)
    driver = ShardDriver(
        {key: suite_dir / key for key in shards},
        launcher=launcher_of(arguments),
        resources=_resources(settings, num_shards=len(shards)),
        limits=Limits.of_this_machine(arguments.max_parallel),
    )
    console = Console()
    if settings.device == "auto":
        console.print("the jobs ask for no GPU; --device cuda asks for one each", highlight=False)
    with (suite_dir / f".{next(iter(shards))}.lock").open("a") as lock:
        try:
            if arguments.detach and try_lock(lock):
                return _detach(driver, argv=arguments.argv, console=console, lock=lock)
            states = _watch(driver, lock=lock, console=console)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except KeyboardInterrupt:
            if try_lock(lock):
                _detach(driver, argv=arguments.argv, console=console, lock=lock)
            return STOPPED
    return _conclude(states, settings=settings, console=console)


def plan(settings: LabellingSettings, *, images: Sequence[str], num_shards: int) -> dict[str, LabellingSettings]:
    """Return the settings of every shard by key: `<modalities>-<shard>of<shards>-<digest>`.

    The digest covers the settings and the names of the images: with other images shards are other runs, which find the
    labels that are there.
    """
    if num_shards < 1:
        raise UsageError(f"--shards starts at 1, got {num_shards}")
    names = digest(images)
    shards = {}
    for shard in range(num_shards):
        its = dataclasses.replace(settings, shard=shard, num_shards=num_shards)
        name = f"{'+'.join(settings.sources)}-{shard + 1}of{num_shards}"
        shards[f"{name}-{digest([its.plain(), names])[:8]}"] = its
    return shards


def prepare(run_dir: Path, *, settings: LabellingSettings) -> None:
    """Create a shard's run directory; run.json is written last and never again."""
    if (run_dir / "run.json").exists():
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    title = f"{run_dir.name}: run again with `python -m multimae.train {run_dir.name}`."
    write_text(run_dir / "config.py", as_python({"labelling": settings.plain()}, title=title))
    write_json(run_dir / "run.json", {"schema": 1, "key": run_dir.name, "suite": SUITE, "job": JOB})


def reopen(run_dir: Path, *, settings: LabellingSettings, images: Sequence[str]) -> None:
    """Take back the result of a shard whose labels are not all there any more, removed by hand or by --overwrite."""
    result = run_dir / "result.json"
    if not result.exists():
        return
    names = [label_name(image) for image in images[settings.shard :: settings.num_shards]]
    if not all((settings.folder(modality) / name).exists() for modality in settings.sources for name in names):
        result.unlink()


class ShardDriver:
    """Bring the shards' runs to their end: look, decide, submit what fits, again and again."""

    def __init__(
        self, folders: Mapping[str, Path], *, launcher: Launcher, resources: Resources, limits: Limits
    ) -> None:
        self.folders = folders
        self.launcher = launcher
        self.resources = resources
        self.limits = limits
        self.submissions: Counter[str] = Counter()

    def look(self) -> dict[str, RunState]:
        """Return every shard's state now."""
        jobs = {key: read_job(folder) for key, folder in self.folders.items()}
        unfinished = [job for key, job in jobs.items() if job and not (self.folders[key] / "result.json").exists()]
        job_states = observe(unfinished, launcher=self.launcher)
        states = {}
        for key, folder in self.folders.items():
            job = jobs[key]
            known = job_states.get(job.job_id, JobState.UNKNOWN) if job and job.job_id else JobState.UNKNOWN
            states[key] = run_state(folder, now=time.time(), job_state=known)
        return states

    def is_over(self, states: Mapping[str, RunState]) -> bool:
        """Say whether nothing is left to wait for or to submit."""
        return not any(state.status in ACTIVE or self._wants(key, state) for key, state in states.items())

    def submit_ready(self, states: Mapping[str, RunState]) -> None:
        """Submit the shards that should start; without a scheduler, as many as this machine has room for."""
        room = len(self.folders)
        if not self.launcher.has_queue:
            at_once = 1 if self.resources.gpus else max(1, self.limits.cores // self.resources.cpus)
            room = at_once - sum(state.status in ACTIVE for state in states.values())
        for key in [key for key, state in states.items() if self._wants(key, state)][: max(0, room)]:
            self._submit(key)

    def _wants(self, key: str, state: RunState) -> bool:
        return decide(state, submissions=self.submissions[key]).submit

    def _submit(self, key: str) -> None:
        folder = self.folders[key]
        code = snapshot(Path(multimae.__file__).parent, into=folder.parent / "code")
        submit_attempt(
            folder,
            launcher=self.launcher,
            # -P: a file in the folder the command was started from hides no module of a job.
            command=lambda number: [
                *(sys.executable, "-P", "-m", "multimae.train"),
                *(str(folder), "--attempt", str(number)),
            ],
            resources=self.resources,
            env={"OMP_NUM_THREADS": str(self.resources.cpus), "PYTHONPATH": str(code), **ALLOCATOR},
        )
        self.submissions[key] += 1


def _watch(driver: ShardDriver, *, lock: IO[str], console: Console) -> Mapping[str, RunState]:
    """Show the shards until nothing is left to do, and submit them unless another process does."""
    recover(driver.folders.values(), launcher=driver.launcher)
    ours = False
    with Live(console=console, auto_refresh=False, transient=True) as screen:
        while True:
            ours = ours or try_lock(lock)
            states: Mapping[str, RunState] = driver.look()
            if ours:
                driver.submit_ready(states)
                states = driver.look()
            if console.is_terminal:
                screen.update(live_table(states, title="pseudo labels"), refresh=True)
            if driver.is_over(states):
                return states
            time.sleep(poll_seconds(driver.launcher))


def _conclude(states: Mapping[str, RunState], *, settings: LabellingSettings, console: Console) -> int:
    """Say how the shards ended; the number of labels enters the manifests once all have finished."""
    lost = {key: state for key, state in states.items() if state.status != "finished"}
    for key, state in lost.items():
        kind = f" ({state.kind})" if state.kind else ""
        console.print(f"{key}: {state.status}{kind}: {state.message}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"shards: {summary(states)}", highlight=False)
    for modality in () if lost else settings.sources:
        folder = settings.folder(modality)
        console.print(f"{complete(folder)} labels in {folder}", highlight=False, soft_wrap=True)
    return 1 if lost else 0


def _detach(driver: ShardDriver, *, argv: Sequence[str], console: Console, lock: IO[str]) -> int:
    """Leave the shards to themselves: a scheduler has them all; without one, a process in the background goes on."""
    back = "the same command shows how far it is and collects"
    if driver.launcher.has_queue:
        recover(driver.folders.values(), launcher=driver.launcher)
        driver.submit_ready(driver.look())
        console.print(f"detached: {summary(driver.look())}; {back}", highlight=False)
        return 0
    if driver.launcher.name == "inline":
        console.print(f"stopped: {summary(driver.look())}; the same command goes on", highlight=False)
        return 0
    lock.close()
    log = next(iter(driver.folders.values())).parent / "driver.log"
    process_id = go_on_in_background([sys.executable, "-m", "multimae.cli", "data", *argv], log=log)
    console.print(f"detached: process {process_id} goes on and writes {log}; {back}", highlight=False, soft_wrap=True)
    return 0


def _resources(settings: LabellingSettings, *, num_shards: int) -> Resources:
    """Ask for what a shard uses; on a CPU, for its share of as many cores as this machine has."""
    if settings.device == "cuda":
        return Resources(cpus=8, gpus=1, memory_gb=32, minutes=24 * 60)
    cores = Limits.of_this_machine(None).cores
    return Resources(cpus=max(1, cores // num_shards), gpus=0, memory_gb=8, minutes=4 * 60)

"""A search from its first trial to its report, as a person starts it, leaves it and comes back to it."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from experiments.drive.driver import Driver
from experiments.drive.driver import Limits as Machine
from experiments.drive.driving import (
    LOCAL_POLL_S,
    TRACKING_EVERY_S,
    driver_lock,
    go_on_in_background,
    launcher_of,
    poll_seconds,
    try_lock,
)
from experiments.drive.live import summary
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.planning import PlannedRun
from experiments.plan.rundirs import prepare, read_json, write_sweep
from experiments.plan.starts import fetch_published
from experiments.searches.loop import Limits, Search
from experiments.searches.planning import SearchPlan, plan_search, search_dir
from experiments.searches.study import StudyRecord, open_study
from experiments.searches.trainings import RunTrainings
from multimae.record.files import write_json
from slurm.attempts import read_job
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.jobs import RunState
from slurm.launcher import Launcher
from slurm.squeue import ask
from slurm.states import JobState
from slurm.submission import recover, submit_attempt

DETACHED = 130
SLOTS_ON_SLURM = 8
DRIVER_MINUTES = 7 * 24 * 60


def drive(arguments: argparse.Namespace, *, argv: Sequence[str]) -> int:
    """Search until the budget is spent, repeat the best, report; return the exit code."""
    plan = plan_search(arguments)
    console = Console()
    if arguments.dry_run:
        print_search(plan, arguments=arguments, console=console)
        return 0
    fetch_published(plan.weights)
    folder = search_dir(arguments, name=plan.name)
    launcher = launcher_of(arguments)
    with driver_lock(folder) as lock:
        if not _lock(lock, console=console):
            raise PreconditionError(
                f"another process drives the search in {folder}; it goes on by itself, {_shown_by(plan.name)}"
            )
        record = _open(plan, folder=folder, arguments=arguments)
        write_json(folder / "search.json", _described(plan, arguments=arguments, repeats={}))
        if arguments.detach:
            lock.close()
            return _detach(launcher, name=plan.name, folder=folder, argv=argv, console=console)
        _requeue_before_the_limit()
        print_search(plan, arguments=arguments, console=console)
        try:
            _pretrain(plan, arguments=arguments, launcher=launcher, console=console)
            return _Driving(plan, record=record, arguments=arguments, launcher=launcher, console=console).run()
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except KeyboardInterrupt:
            console.print("stopped; what trains goes on, and the same command goes on with the search", highlight=False)
            return DETACHED


class _Driving:
    """The loop of one process: what it knows besides the study is what to say next."""

    def __init__(
        self,
        plan: SearchPlan,
        *,
        record: StudyRecord,
        arguments: argparse.Namespace,
        launcher: Launcher,
        console: Console,
    ) -> None:
        self.plan, self.record, self.arguments, self.console = plan, record, arguments, console
        self.folder = search_dir(arguments, name=plan.name)
        machine = Machine.of_this_machine(arguments.max_parallel, devices=arguments.devices)
        self.driver = Driver([], suite_dir=self.folder, launcher=launcher, limits=machine)
        slots = arguments.parallel or (SLOTS_ON_SLURM if launcher.has_queue else machine.cores)
        self.limits = Limits(trials=arguments.trials, parallel=slots, retries=arguments.retries)
        self.trainings = RunTrainings(plan, driver=self.driver)
        self._said: dict[int, str] = {}
        self._tracked = time.monotonic()

    def run(self) -> int:
        """Search, then repeat; the study and the page are up to date whenever this is interrupted."""
        search = Search(
            self.record,
            trainings=self.trainings,
            pruner=self.arguments.pruner,
            brackets=self.plan.brackets,
            limits=self.limits,
        )
        for trial in self.record.trials():
            if "training" in trial.user_attrs:
                self.trainings.take_up(self.record.values_of(trial.number))
        self.driver.recover()
        while True:
            going = search.step()
            self.trainings.submit()
            self._keep_up()
            if not going:
                break
            time.sleep(poll_seconds(self.driver.launcher))
        code = self._repeat() if self.arguments.repeat_best else 0
        self._track(always=True)
        from reports.pages.search import make_search_report

        report = make_search_report(self.arguments.runs_dir, self.plan.name)
        self.console.print(f"{self._summary()}. Report: {report}", highlight=False, soft_wrap=True)
        return code

    def _keep_up(self) -> None:
        """Say what changed, and write down which runs there are."""
        for trial in self.record.trials():
            said = _standing(trial)
            if self._said.get(trial.number) != said:
                now = time.strftime("%H:%M:%S")
                self.console.print(f"{now} trial {trial.number}: {said}", highlight=False, soft_wrap=True)
                self._said[trial.number] = said
        self._write_sweep()
        self._track()

    def _write_sweep(self) -> None:
        write_sweep(
            list(self.driver.plan.values()),
            suite_dir=self.folder,
            title=f"Search {self.plan.name}",
            command=["search", *sys.argv[1:]],
            created=time.time(),
            parent=self.plan.name,
        )

    def _track(self, *, always: bool = False) -> None:
        if not always and time.monotonic() - self._tracked < TRACKING_EVERY_S:
            return
        self._tracked = time.monotonic()
        from experiments.track.ingest import ingest

        ingest(self.folder.parent, self.plan.name, states=self.trainings.states)

    def _repeat(self) -> int:
        """Train the winner and the recipe with fresh seeds, which no choice was made by, and score the test split."""
        best = self.record.best()
        if best is None:
            self.console.print("no trial ended with a number: nothing to repeat", highlight=False)
            return 1
        seeds = range(self.arguments.seed + 1, self.arguments.seed + 1 + self.arguments.repeat_best)
        settings = {"winner": self.record.values_of(best.number), "recipe": self.plan.own_values}
        runs = {label: [self.plan.repeat(values, seed=seed) for seed in seeds] for label, values in settings.items()}
        for planned in {planned.key: planned for some in runs.values() for planned in some}.values():
            prepare(planned, suite_dir=self.folder)
            self.driver.add(planned)
        repeats = {label: [planned.key for planned in some] for label, some in runs.items()}
        write_json(self.folder / "search.json", _described(self.plan, arguments=self.arguments, repeats=repeats))
        keys = {key for some in repeats.values() for key in some}
        said = f"trains trial {best.number}, the winner, and the recipe with {len(seeds)} fresh seeds: {len(keys)} runs"
        self.console.print(said, highlight=False)
        while True:
            states = {key: state for key, state in self.driver.look().items() if key in keys}
            if self.driver.is_over(states):
                break
            self.driver.submit_ready(self.driver.look())
            self._write_sweep()
            self._track()
            time.sleep(poll_seconds(self.driver.launcher))
        self.trainings.states = self.driver.look()
        self.console.print(f"winner and recipe with {len(seeds)} fresh seeds: {summary(states)}", highlight=False)
        return 0 if all(state.status == "finished" for state in states.values()) else 1

    def _summary(self) -> str:
        counts = [
            (len(self.record.trials(TrialState.COMPLETE)), "trained to the end"),
            (len(self.record.trials(TrialState.PRUNED)), "stopped early"),
            (len(self.record.trials(TrialState.FAIL)), "failed"),
        ]
        return ", ".join(f"{count} {what}" for count, what in counts if count)


def print_search(plan: SearchPlan, *, arguments: argparse.Namespace, console: Console) -> None:
    """Print the space, the recipe's own values, and what the brackets are expected to cost."""
    space = Table(title=f"search {plan.name}: {arguments.trials} trials by {arguments.sampler} on {plan.data.name}")
    for column in ("field", "searched over", "only if", "recipe's own, trial 0"):
        space.add_column(column, overflow="fold")
    for name, dimension in plan.space.dimensions.items():
        condition = ", ".join(f"{other} is {' or '.join(map(str, values))}" for other, values in dimension.when.items())
        space.add_row(name, str(dimension.distribution), condition, str(plan.own_values.get(name, "")))
    console.print(space)
    brackets = Table(title=f"{arguments.pruner}: rungs in steps; one in {arguments.eta} goes on")
    for column in ("bracket", "rungs", "expected cost of a trial"):
        brackets.add_column(column)
    for number, bracket in enumerate(plan.brackets):
        share = f"{100 * bracket.expected_cost:.0f} % of a whole training"
        brackets.add_row(str(number), ", ".join(map(str, bracket.rungs)), share)
    console.print(brackets)


def _open(plan: SearchPlan, *, folder: Path, arguments: argparse.Namespace) -> StudyRecord:
    planned = plan.trial(plan.own_values)
    settings = {
        "space": {name: str(item) for name, item in plan.space.dimensions.items()},
        "objective": list(plan.objective.names),
        "pruner": arguments.pruner,
        "rungs": [list(bracket.rungs) for bracket in plan.brackets],
        "trial 0 (its settings, data and code)": planned.key,
    }
    record = open_study(
        folder,
        name=plan.name,
        storage=arguments.storage,
        space=plan.space,
        objective=plan.objective,
        sampler=arguments.sampler,
        seed=arguments.search_seed,
        settings=settings,
    )
    if not record.study.get_trials(deepcopy=False):
        record.enqueue(plan.own_values, recipe=True)
    return record


def _pretrain(plan: SearchPlan, *, arguments: argparse.Namespace, launcher: Launcher, console: Console) -> None:
    """Bring the pre-training that trials start from to its end, in the suite's folder, where a sweep finds it."""
    if not plan.pretrainings:
        return
    suite_dir = arguments.runs_dir.resolve() / plan.suite.name
    machine = Machine.of_this_machine(arguments.max_parallel, devices=arguments.devices)
    driver = Driver(plan.pretrainings, suite_dir=suite_dir, launcher=launcher, limits=machine)
    for planned in plan.pretrainings:
        prepare(planned, suite_dir=suite_dir)
    driver.recover()
    states: Mapping[str, RunState] = driver.look()
    with driver_lock(suite_dir) as lock:
        while not driver.is_over(states):
            if try_lock(lock):  # else a sweep trains it
                driver.submit_ready(states)
            time.sleep(poll_seconds(launcher))
            states = driver.look()
    lost = {key: state for key, state in states.items() if state.status != "finished"}
    if lost:
        key, state = next(iter(lost.items()))
        raise PreconditionError(f"trials start from {key}, which {state.status} ({state.kind}): {state.message}")
    console.print(f"pre-training: {summary(states)}", highlight=False)


def _lock(lock: IO[str], *, console: Console) -> bool:
    """Become the search's only driver; say whether that went well.

    A job that Slurm has started again waits: on a node that only seemed lost its earlier process may live on.
    """
    waited = False
    while not try_lock(lock):
        if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
            return False
        if not waited:
            console.print("waits for the process that this job ran before", highlight=False)
        waited = True
        time.sleep(LOCAL_POLL_S)
    return True


def _requeue_before_the_limit() -> None:
    """Let a driver that is a job be queued again when Slurm announces its end, which may come long before the search's.

    Slurm kills it on the way, which a driver may be at any time.
    """
    if job_id := os.environ.get("SLURM_JOB_ID"):
        signal.signal(signal.SIGUSR2, lambda *_: ask(["scontrol", "requeue", job_id]))


def _detach(launcher: Launcher, *, name: str, folder: Path, argv: Sequence[str], console: Console) -> int:
    """Leave the search to a small job on the cluster, or to a process in the background."""
    script = str(Path(__file__).parents[1] / "search.py")
    command = [sys.executable, script, *(word for word in argv if word != "--detach")]
    if launcher.has_queue:
        _require_no_driver(folder / "driver", launcher=launcher, name=name)
        job = submit_attempt(
            folder / "driver",
            launcher=launcher,
            command=lambda _: command,
            resources=Resources(cpus=1, gpus=0, memory_gb=2, minutes=DRIVER_MINUTES),
            env={},
        )
        log = folder / "driver" / "attempts" / str(job.attempt) / "out.log"
        said = f"detached: job {job.job_id} drives the search and writes {log}; {_shown_by(name)}"
        console.print(said, soft_wrap=True, highlight=False)
        return 0
    if launcher.name == "inline":
        raise UsageError("--detach needs jobs that live on; --executor inline trains in the foreground")
    log = folder / "driver.log"
    process_id = go_on_in_background(command, log=log)
    said = f"detached: process {process_id} goes on and writes {log}; {_shown_by(name)}"
    console.print(said, soft_wrap=True, highlight=False)
    return 0


def _require_no_driver(driver_dir: Path, *, launcher: Launcher, name: str) -> None:
    """Raise PreconditionError if a job that drives the search waits or runs already."""
    recover([driver_dir], launcher=launcher)
    job = read_job(driver_dir)
    if job is None or job.job_id is None:
        return
    if launcher.states([job.job_id])[job.job_id] in (JobState.QUEUED, JobState.RUNNING):
        raise PreconditionError(f"job {job.job_id} drives the search already, or will; {_shown_by(name)}")


def _shown_by(name: str) -> str:
    return f"`search.py report {name}` shows how far it is"


def _described(
    plan: SearchPlan, *, arguments: argparse.Namespace, repeats: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return search.json: what a report needs to know beside the study."""
    run: PlannedRun = plan.trial(plan.own_values)
    return {
        "schema": 1,
        "name": plan.name,
        "suite": plan.suite.name,
        "task": run.run.task.name,
        "inputs": list(run.run.inputs),
        "checkpoint": run.run.checkpoint,
        "dataset": plan.data.name,
        "profile": run.run.profile,
        "size": run.run.size,
        "space": {
            name: {"distribution": str(item.distribution), "when": {key: list(of) for key, of in item.when.items()}}
            for name, item in plan.space.dimensions.items()
        },
        "own_values": dict(plan.own_values),
        "objective": list(plan.objective.names),
        "directions": list(plan.objective.directions),
        "primary": {"metric": run.run.task.primary.metric, "protocol": run.run.task.primary.protocol},
        "sampler": arguments.sampler,
        "pruner": arguments.pruner,
        "brackets": [list(bracket.rungs) for bracket in plan.brackets],
        "trials": arguments.trials,
        "seed": arguments.seed,
        "search_seed": arguments.search_seed,
        "storage": arguments.storage or "",
        "repeats": {label: list(keys) for label, keys in repeats.items()} or _known_repeats(plan, arguments=arguments),
    }


def _known_repeats(plan: SearchPlan, *, arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Keep what an earlier process repeated."""
    known: dict[str, list[str]] = read_json(search_dir(arguments, name=plan.name) / "search.json").get("repeats", {})
    return known


def _standing(trial: Any) -> str:
    """Say in a line how a trial stands."""
    chosen = ", ".join(f"{name}={_short(value)}" for name, value in trial.user_attrs.get("values", {}).items())
    reached = max(trial.intermediate_values.items(), default=None)
    score = f"{reached[1]:.4g} at step {reached[0]}" if reached else ""
    if trial.state is TrialState.COMPLETE:
        return f"ended with {', '.join(f'{value:.4g}' for value in trial.values)}"
    if trial.state is TrialState.PRUNED:
        return f"stopped early, {score}"
    if trial.state is TrialState.FAIL:
        return f"failed: {trial.user_attrs.get('failed', '')}"
    return score or f"started with {chosen}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

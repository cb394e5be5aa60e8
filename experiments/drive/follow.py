"""A sweep from submission to report, as a person watches it, leaves it and comes back to it."""

import argparse
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.live import Live

from experiments.drive.driver import Driver, Limits
from experiments.drive.driving import (
    LOCAL_POLL_S,
    TRACKING_EVERY_S,
    driver_lock,
    go_on_in_background,
    launcher_of,
    poll_seconds,
    try_lock,
)
from experiments.drive.live import live_table, print_plan, summary
from experiments.plan.errors import PreconditionError
from experiments.plan.planning import PlannedRun, datasets_of
from experiments.plan.rundirs import prepare, write_sweep
from experiments.plan.suite import Suite
from slurm.errors import SubmissionError
from slurm.jobs import RunState

DETACHED = 130


def follow(plan: Sequence[PlannedRun], *, suite: Suite, arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Submit what is not finished, watch until it is, mirror into MLflow, report; return the exit code."""
    console = Console()
    suite_dir = arguments.runs_dir.resolve() / suite.name
    suite_dir.mkdir(parents=True, exist_ok=True)
    title = f"{suite.title} on {', '.join(datasets_of(plan))}"
    limits = Limits.of_this_machine(arguments.max_parallel, devices=arguments.devices)
    driver = Driver(plan, suite_dir=suite_dir, launcher=launcher_of(arguments), limits=limits)
    with driver_lock(suite_dir) as lock:
        if not try_lock(lock):
            console.print(f"another sweep drives {suite_dir}; following it", highlight=False)
            return _follow_another(driver, lock=lock, title=title, console=console, suite_dir=suite_dir)
        write_sweep(plan, suite_dir=suite_dir, title=suite.title, command=argv, created=time.time())
        for planned in plan:
            prepare(planned, suite_dir=suite_dir)
        driver.recover()
        states: Mapping[str, RunState] = driver.look()
        if driver.is_over(states):
            console.print(f"nothing to start: {summary(states)}", highlight=False)
            return _conclude(states, suite_dir=suite_dir, console=console)
        print_plan(plan, suite_dir=suite_dir, reasons={})
        if arguments.detach:
            return _detach(driver, argv=argv, console=console, lock=lock)
        try:
            states = _watch(driver, title=title, console=console, suite_dir=suite_dir)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except KeyboardInterrupt:
            _detach(driver, argv=argv, console=console, lock=lock)
            return DETACHED
        return _conclude(states, suite_dir=suite_dir, console=console)


def _watch(driver: Driver, *, title: str, console: Console, suite_dir: Path) -> Mapping[str, RunState]:
    """Submit and show until nothing is left to do."""
    tracker = _Tracker(suite_dir)
    with _Screen(console, title=title) as screen:
        while True:
            states = driver.look()
            if driver.submit_ready(states):
                states = driver.look()
            screen.show(states)
            if driver.is_over(states):
                return states
            tracker.tick(states)
            time.sleep(poll_seconds(driver.launcher))


def _follow_another(driver: Driver, *, lock: IO[str], title: str, console: Console, suite_dir: Path) -> int:
    """Show what another driver of the same suite does, until it ends; leaving changes nothing."""
    try:
        with _Screen(console, title=title) as screen:
            while not try_lock(lock):
                screen.show(driver.look())
                time.sleep(LOCAL_POLL_S)
    except KeyboardInterrupt:
        return DETACHED
    return _conclude(driver.look(), suite_dir=suite_dir, console=console)


class _Screen:
    """Show states as a live table on a terminal, as a line per change elsewhere."""

    def __init__(self, console: Console, *, title: str) -> None:
        self._console = console
        self._title = title
        self._seen: dict[str, str] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "_Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, states: Mapping[str, RunState]) -> None:
        """Bring the screen up to date."""
        if self._live:
            self._live.update(live_table(states, title=self._title), refresh=True)
        else:
            _print_changes(states, seen=self._seen, console=self._console)


def _print_changes(states: Mapping[str, RunState], *, seen: dict[str, str], console: Console) -> None:
    """Say in a line each what changed since the last look, for logs and pipes."""
    for key, state in states.items():
        if seen.get(key, "new") != state.status:
            note = f" ({state.message})" if state.message else ""
            console.print(f"{time.strftime('%H:%M:%S')} {key}: {state.status}{note}", highlight=False, soft_wrap=True)
        seen[key] = state.status


def _conclude(states: Mapping[str, RunState], *, suite_dir: Path, console: Console) -> int:
    from experiments.track.ingest import ingest
    from reports.read.freshness import is_fresh

    runs_dir, suite = suite_dir.parent, suite_dir.name
    ingest(runs_dir, suite, states=states)
    if not is_fresh(runs_dir, suite):
        from reports.make import make_report

        make_report(runs_dir, suite)
    lost = {key: state for key, state in states.items() if state.status != "finished"}
    for key, state in lost.items():
        kind = f" ({state.kind})" if state.kind else ""
        console.print(f"{key}: {state.status}{kind}: {state.message}", highlight=False, soft_wrap=True)
    console.print(f"{summary(states)}. Report: {suite_dir / 'report' / 'index.html'}", highlight=False, soft_wrap=True)
    return 1 if lost else 0


def _detach(driver: Driver, *, argv: Sequence[str], console: Console, lock: IO[str]) -> int:
    """Leave the jobs to themselves: a scheduler has them all; without one, a driver in the background goes on."""
    back = "the same command shows how far it is and collects"
    if driver.launcher.has_queue:
        driver.submit_ready(driver.look())
        console.print(f"detached: {summary(driver.look())}; {back}")
        return 0
    if driver.launcher.name == "inline":
        console.print(f"stopped: {summary(driver.look())}; the same command goes on")
        return 0
    lock.close()
    log = driver.folders[next(iter(driver.folders))].parent / "driver.log"
    command = [sys.executable, str(Path(__file__).parents[1] / "sweep.py"), *argv]
    process_id = go_on_in_background(command, log=log)
    console.print(f"detached: process {process_id} goes on and writes {log}; {back}", soft_wrap=True)
    return 0


class _Tracker:
    """Mirror the spools into MLflow now and then, beside the watching: it takes seconds, the table should not wait."""

    def __init__(self, suite_dir: Path) -> None:
        self.suite_dir = suite_dir
        self._thread: threading.Thread | None = None
        self._last = time.monotonic()

    def tick(self, states: Mapping[str, RunState]) -> None:
        """Start a round if the last is over and long enough ago."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() - self._last < TRACKING_EVERY_S:
            return
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._round, args=(states,), daemon=True)
        self._thread.start()

    def _round(self, states: Mapping[str, RunState]) -> None:
        from experiments.track.ingest import ingest

        ingest(self.suite_dir.parent, self.suite_dir.name, states=states)

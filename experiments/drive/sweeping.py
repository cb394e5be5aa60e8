"""A sweep from submission to report, as a person watches it, leaves it and comes back to it."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.drive.concluding import explained, say_untracked
from experiments.drive.driver import Driver
from experiments.drive.launching import launcher_of
from experiments.drive.leaving import DETACHED, detach
from experiments.drive.loop import States, bring_to_end, keep_on
from experiments.drive.screen import Screen, log_to, print_lost, say, summary
from experiments.drive.tracker import Tracker
from experiments.drive.trainings import works_of
from experiments.drive.work import Machine
from experiments.plan.disk import bytes_kept
from experiments.plan.errors import PreconditionError
from experiments.plan.planning import PlannedRun, datasets_of
from experiments.plan.rundirs import prepare, sweep_of
from experiments.plan.show import print_causes, print_plan, standings_of
from experiments.plan.suite import Suite, own_file
from experiments.plan.why import causes, kept_scores
from multimae.console import PlainConsole, plain_console
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir
from multimae.record.state import RunState
from slurm.errors import SubmissionError

DOOR = Path(__file__).parents[1] / "sweep.py"


def sweep(plan: Sequence[PlannedRun], *, suite: Suite, arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Submit what is not finished, watch until it is, mirror into MLflow, report; return the exit code."""
    console = plain_console()
    suite_dir = arguments.runs_dir.resolve() / suite.name
    launcher = launcher_of(arguments)
    suite_dir.mkdir(parents=True, exist_ok=True)
    machine = Machine.this(max_parallel=arguments.max_parallel, devices=arguments.devices)
    works = works_of(plan, suite_dir=suite_dir, machine=machine)
    driver = Driver(works, suite_dir=suite_dir, launcher=launcher, machine=machine, hear=log_to(console))
    tracker = Tracker(suite_dir, hear=log_to(console))
    title = f"{suite.title} on {', '.join(datasets_of(plan))}"
    with FileLock(SuiteDir(suite_dir).lock) as lock:
        if not lock.try_take():
            say(f"another sweep drives {suite_dir}; following it", console=console)
            return _follow_another(driver, tracker=tracker, lock=lock, title=title, console=console)
        source = own_file(arguments.suite)
        sweep_of(plan, title=suite.title, command=argv, created=time.time(), source=source).write(suite_dir)
        for planned in plan:
            prepare(planned, suite_dir=suite_dir, keep=arguments.keep_checkpoints)
        standings = standings_of(plan, suite_dir=suite_dir)
        print_causes(causes(kept_scores(plan, suite_dir=suite_dir, standings=standings)))
        driver.recover()
        states: States = driver.look()
        if driver.is_over(states):
            say(f"nothing to start: {summary(states)}", console=console)
            return conclude(states, tracker=tracker, console=console)
        kept = bytes_kept(plan, suite_dir=suite_dir, keep=arguments.keep_checkpoints)
        print_plan(plan, standings=standings_of(plan, suite_dir=suite_dir), kept=kept)
        on = [sys.executable, str(DOOR), *argv]
        if arguments.detach:
            return detach(driver, command=on, lock=lock, console=console)
        try:
            states = _watch(driver, tracker=tracker, title=title, console=console)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except KeyboardInterrupt:
            detach(driver, command=on, lock=lock, console=console)
            return DETACHED
        return conclude(states, tracker=tracker, console=console)


def _watch(driver: Driver, *, tracker: Tracker, title: str, console: PlainConsole) -> States:
    """Submit and show until nothing is left to do."""
    with Screen(console, title=title) as screen:

        def see(states: States) -> None:
            screen.show(states)
            tracker.tick(states)

        return bring_to_end(driver, see=see)


def _follow_another(driver: Driver, *, tracker: Tracker, lock: FileLock, title: str, console: PlainConsole) -> int:
    """Show what another driver of the same suite does, until it ends; leaving changes nothing."""
    try:
        with Screen(console, title=title) as screen:
            keep_on(lambda: _seen_while_driven(driver, lock=lock, screen=screen), launcher=driver.launcher)
    except KeyboardInterrupt:
        return DETACHED
    return conclude(driver.look(), tracker=tracker, console=console)


def _seen_while_driven(driver: Driver, *, lock: FileLock, screen: Screen) -> bool:
    """Show how the runs stand; say whether another process still drives them."""
    if lock.try_take():
        return False
    screen.show(driver.look())
    return True


def conclude(states: Mapping[str, RunState], *, tracker: Tracker, console: PlainConsole) -> int:
    """Report all there is, and mirror it; return 1 where a run has not finished."""
    from reports.read.freshness import is_fresh

    last = tracker.begin_last(states)
    suite_dir = tracker.suite_dir
    runs_dir, suite = suite_dir.parent, suite_dir.name
    if not is_fresh(runs_dir, suite):
        from reports.make import make_report

        with explained("report", folder=SuiteDir(suite_dir).report):
            make_report(runs_dir, suite)
    lost = print_lost(states, console=console)
    say(f"{summary(states)}. Report: {SuiteDir(suite_dir).report / 'index.html'}", console=console)
    say_untracked(last, console=console)
    return 1 if lost else 0

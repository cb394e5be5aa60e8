"""A sweep from submission to report, as a person watches it, leaves it and comes back to it."""

import argparse
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from experiments.drive.carrying import Errand, carry
from experiments.drive.concluding import report_is_written, say_untracked
from experiments.drive.driver import Driver
from experiments.drive.following import same_plan, wait_for_turn
from experiments.drive.launching import launcher_of
from experiments.drive.leaving import LeftError, detach, exit_code, is_kill, leave, may_be_left
from experiments.drive.loop import States, bring_to_end
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
from slurm.launcher import Launcher


def sweep(plan: Sequence[PlannedRun], *, suite: Suite, arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Report if nothing is left to do, else let the plan be carried out, here or in the background."""
    arguments = argparse.Namespace(**{**vars(arguments), "runs_dir": arguments.runs_dir.resolve()})
    going = _Sweep(plan, suite=suite, arguments=arguments, argv=argv, launcher=launcher_of(arguments))
    with may_be_left() as outlet, FileLock(SuiteDir(going.suite_dir).lock) as lock:
        try:
            if mine := lock.try_take():
                states = going.take_up()
                if going.driver.is_over(states):
                    return going.nothing_to_start(states)
            work = partial(
                drive, plan=plan, suite=suite, arguments=arguments, argv=argv, launcher=going.driver.launcher
            )
            errand = carry(work, suite_dir=going.suite_dir)
            if arguments.detach:
                return going.detach(errand, lock=lock) if mine else going.queue_up(errand, lock=lock)
            if outlet.gone:  # `sweep | head`: the plan has not even been read to its end
                errand.go_on_in_background(SuiteDir(going.suite_dir))
                return exit_code(LeftError(signal.SIGPIPE))
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except (KeyboardInterrupt, LeftError) as reason:
            say("stopped before anything was started", console=going.console)
            return exit_code(reason)
    return errand.take_over()


def drive(
    errand: Errand,
    *,
    plan: Sequence[PlannedRun],
    suite: Suite,
    arguments: argparse.Namespace,
    argv: Sequence[str],
    launcher: Launcher,
) -> int:
    """Submit what is not finished, watch until it is, mirror into MLflow, report; return the exit code."""
    going = _Sweep(plan, suite=suite, arguments=arguments, argv=argv, launcher=launcher)
    with may_be_left() as outlet, FileLock(SuiteDir(going.suite_dir).lock) as lock:
        try:
            if not lock.try_take():
                wait_for_turn(going.driver, lock=lock, console=going.console, check=outlet.require)
        except (KeyboardInterrupt, LeftError) as reason:
            if is_kill(reason):
                going.give_up()
            else:
                going.queue_up(errand, lock=lock)
            return exit_code(reason)
        lock.sign()
        try:
            states = going.take_up()
            if going.driver.is_over(states):
                return going.nothing_to_start(states)
            going.show_plan()
            states = going.watch(check=outlet.require)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except (KeyboardInterrupt, LeftError) as reason:
            return leave(going.driver, reason=reason, errand=errand, lock=lock, console=going.console)
        return conclude(states, tracker=going.tracker, console=going.console)


class _Sweep:
    """What the command and the process that carries it out do alike."""

    def __init__(
        self,
        plan: Sequence[PlannedRun],
        *,
        suite: Suite,
        arguments: argparse.Namespace,
        argv: Sequence[str],
        launcher: Launcher,
    ) -> None:
        self.plan, self.suite, self.arguments, self.argv = plan, suite, arguments, argv
        self.console = plain_console()
        self.suite_dir = arguments.runs_dir / suite.name
        machine = Machine.this(max_parallel=arguments.max_parallel, devices=arguments.devices)
        works = works_of(plan, suite_dir=self.suite_dir, machine=machine)
        hear = log_to(self.console)
        self.driver = Driver(works, suite_dir=self.suite_dir, launcher=launcher, machine=machine, hear=hear)
        self.tracker = Tracker(self.suite_dir, hear=hear)

    def take_up(self) -> States:
        """Make the plan that of the suite's folder and return how its runs stand; for the holder of the lock alone."""
        source = own_file(self.arguments.suite)
        written = sweep_of(self.plan, title=self.suite.title, command=self.argv, created=time.time(), source=source)
        written.write(self.suite_dir)
        for planned in self.plan:
            prepare(planned, suite_dir=self.suite_dir, keep=self.arguments.keep_checkpoints)
        self.driver.recover()
        return self.driver.look()

    def show_plan(self) -> None:
        """Print the plan and what it costs."""
        standings = standings_of(self.plan, suite_dir=self.suite_dir)
        self.say_kept_scores(standings)
        kept = bytes_kept(self.plan, suite_dir=self.suite_dir, keep=self.arguments.keep_checkpoints)
        print_plan(self.plan, standings=standings, kept=kept)

    def watch(self, *, check: Callable[[], None]) -> States:
        """Submit and show until nothing is left to do; `check` raises once nobody watches any more."""
        title = f"{self.suite.title} on {', '.join(datasets_of(self.plan))}"
        with Screen(self.console, title=title) as screen:

            def see(states: States) -> None:
                screen.show(states)
                self.tracker.tick(states)
                check()

            return bring_to_end(self.driver, see=see)

    def detach(self, errand: Errand, *, lock: FileLock) -> int:
        """Leave at once."""
        self.show_plan()
        return detach(self.driver, errand=errand, lock=lock, console=self.console)

    def queue_up(self, errand: Errand, *, lock: FileLock) -> int:
        """Leave while another process drives: a plan that is no part of that one's waits in the background."""
        if same_plan(self.driver):
            say(f"{lock.holder} drives these runs and goes on", console=self.console)
        elif self.driver.launcher.name == "inline":
            self.give_up()
        else:
            folder = SuiteDir(self.suite_dir)
            process_id = errand.go_on_in_background(folder)
            waits = f"process {process_id} waits for it, then drives this plan, and writes {folder.log}"
            say(f"{lock.holder} drives {self.suite_dir}; {waits}", console=self.console)
        return 0

    def give_up(self) -> None:
        """Say that the plan was not begun."""
        say("stopped: no run of this plan was started; the same command starts them", console=self.console)

    def nothing_to_start(self, states: States) -> int:
        """Report what is there."""
        self.say_kept_scores(standings_of(self.plan, suite_dir=self.suite_dir))
        say(f"nothing to start: {summary(states)}", console=self.console)
        return conclude(states, tracker=self.tracker, console=self.console)

    def say_kept_scores(self, standings: Mapping[str, str]) -> None:
        """Say which runs keep the scores of earlier code, and why."""
        print_causes(causes(kept_scores(self.plan, suite_dir=self.suite_dir, standings=standings)))


def conclude(states: Mapping[str, RunState], *, tracker: Tracker, console: PlainConsole) -> int:
    """Report all there is, and mirror it; return 1 where a run has not finished."""
    from reports.read.freshness import is_fresh

    last = tracker.begin_last(states)
    suite_dir = tracker.suite_dir
    runs_dir, suite, report = suite_dir.parent, suite_dir.name, SuiteDir(suite_dir).report
    if not is_fresh(runs_dir, suite):
        from reports.make import make_report

        with report_is_written(report):
            make_report(runs_dir, suite)
    lost = print_lost(states, console=console)
    say(f"{summary(states)}. Report: {report / 'index.html'}", console=console)
    say_untracked(last, console=console)
    return 1 if lost else 0

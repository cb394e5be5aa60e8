"""A search from its first trial to its report, as a person starts it, leaves it and comes back to it."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

from optuna.trial import TrialState

from experiments.drive.carrying import Errand, carry
from experiments.drive.concluding import report_is_written, say_untracked
from experiments.drive.driver import Driver
from experiments.drive.launching import launcher_of
from experiments.drive.leaving import LeftError, may_be_left
from experiments.drive.loop import States, bring_to_end, keep_on
from experiments.drive.screen import log_to, say, summary
from experiments.drive.tracker import Tracker
from experiments.drive.trainings import works_of
from experiments.drive.work import Machine
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.folders import check_runs_dir
from experiments.plan.rundirs import prepare, sweep_of
from experiments.plan.starts import fetch_published
from experiments.searches.described import describe_search
from experiments.searches.leaving import (
    detach_search,
    leave_search,
    requeue_before_the_limit,
    shown_by,
    take_lock,
)
from experiments.searches.loop import Budget, Search
from experiments.searches.planning import SearchPlan, plan_search, search_dir
from experiments.searches.show import TrialLog, print_search
from experiments.searches.storage import check_storage
from experiments.searches.study import StudyRecord, open_study
from experiments.searches.trainings import RunTrainings
from experiments.track.address import require_possible, tracking_uri
from multimae.console import PlainConsole, plain_console
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir
from slurm.errors import SubmissionError
from slurm.launcher import Launcher

SLOTS_ON_SLURM = 8


def search(arguments: argparse.Namespace, *, argv: Sequence[str]) -> int:
    """Plan a search and open its study, then let it be driven, here or in the background; return the exit code."""
    check_runs_dir(arguments.runs_dir, to="read" if arguments.dry_run else "write")
    plan = plan_search(arguments)
    require_possible(tracking_uri())
    console = plain_console()
    if arguments.dry_run:
        print_search(plan, arguments=arguments, console=console)
        return 0
    folder, launcher = search_dir(arguments, name=plan.name), launcher_of(arguments)
    if arguments.detach and launcher.name == "inline":
        raise UsageError("--detach needs jobs that live on; --executor inline trains in the foreground")
    check_storage(arguments.storage)
    fetch_published(plan.weights)
    arguments = argparse.Namespace(**{**vars(arguments), "runs_dir": arguments.runs_dir.resolve()})
    with FileLock(SuiteDir(folder).lock) as lock:
        _take_up(plan, arguments=arguments, lock=lock, console=console)
        work = partial(drive_search, plan=plan, arguments=arguments, argv=argv, launcher=launcher)
        errand = carry(work, suite_dir=folder)
    if arguments.detach:
        return detach_search(launcher, name=plan.name, folder=folder, errand=errand, console=console)
    return errand.take_over()


def drive_search(
    errand: Errand, *, plan: SearchPlan, arguments: argparse.Namespace, argv: Sequence[str], launcher: Launcher
) -> int:
    """Search until the budget is spent, repeat the best, report; return the exit code."""
    console = plain_console()
    folder = search_dir(arguments, name=plan.name)
    with may_be_left() as outlet, FileLock(SuiteDir(folder).lock) as lock:
        record = _take_up(plan, arguments=arguments, lock=lock, console=console)
        lock.sign()
        requeue_before_the_limit()
        try:
            print_search(plan, arguments=arguments, console=console)
            _pretrain(plan, arguments=arguments, launcher=launcher, console=console, check=outlet.require)
            going = _Process(plan, record=record, arguments=arguments, argv=argv, launcher=launcher, console=console)
            return going.run(check=outlet.require)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except (KeyboardInterrupt, LeftError) as reason:
            lock.close()
            return leave_search(launcher, reason=reason, name=plan.name, folder=folder, errand=errand)


def _take_up(plan: SearchPlan, *, arguments: argparse.Namespace, lock: FileLock, console: PlainConsole) -> StudyRecord:
    """Become the search's only driver and open its study."""
    folder = search_dir(arguments, name=plan.name)
    if not take_lock(lock, console=console):
        raise PreconditionError(
            f"{lock.holder} drives the search in {folder}; it goes on by itself, {shown_by(plan.name)}"
        )
    record = _open(plan, arguments=arguments)
    describe_search(plan, arguments=arguments, folder=folder)
    return record


class _Process:
    """One process of a search: what it knows besides the study is what to say next."""

    def __init__(
        self,
        plan: SearchPlan,
        *,
        record: StudyRecord,
        arguments: argparse.Namespace,
        argv: Sequence[str],
        launcher: Launcher,
        console: PlainConsole,
    ) -> None:
        self.plan, self.record, self.arguments, self.argv, self.console = plan, record, arguments, argv, console
        self.folder = search_dir(arguments, name=plan.name)
        machine = Machine.this(max_parallel=arguments.max_parallel, devices=arguments.devices)
        self.driver = Driver([], suite_dir=self.folder, launcher=launcher, machine=machine, hear=log_to(console))
        slots = arguments.parallel or (SLOTS_ON_SLURM if launcher.has_queue else machine.cores)
        self.budget = Budget(trials=arguments.trials, parallel=slots, retries=arguments.retries)
        self.trainings = RunTrainings(plan, driver=self.driver)
        self.tracker = Tracker(self.folder, hear=log_to(console))
        self.log = TrialLog(console)

    def run(self, *, check: Callable[[], None]) -> int:
        """Search, then repeat; the study and the page are up to date whenever this is interrupted.

        `check` raises once nobody watches any more.
        """
        going = Search(
            self.record,
            trainings=self.trainings,
            pruner=self.arguments.pruner,
            brackets=self.plan.brackets,
            budget=self.budget,
        )
        for trial in self.record.trials():
            if "training" in trial.user_attrs:
                self.trainings.take_up(self.record.values_of(trial.number))
        self.driver.recover()
        keep_on(lambda: self._step(going, check=check), launcher=self.driver.launcher)
        code = self._repeat(check=check) if self.arguments.repeat_best else 0
        last = self.tracker.begin_last(self.trainings.states)
        from reports.pages.search import make_search_report

        with report_is_written(SuiteDir(self.folder).report):
            report = make_search_report(self.arguments.runs_dir, self.plan.name)
        say(f"{self._summary()}. Report: {report}", console=self.console)
        say_untracked(last, console=self.console)
        return code

    def _step(self, going: Search, *, check: Callable[[], None]) -> bool:
        more = going.step()
        self.trainings.submit()
        self.log.show(self.record.trials())
        self._write_down(self.trainings.states)
        check()
        return more

    def _write_down(self, states: States) -> None:
        """Note which runs there are, for reports and tracking."""
        plan = list(self.trainings.planned.values())
        command = ["search", *self.argv]
        title = f"Search {self.plan.name}"
        sweep_of(plan, title=title, command=command, created=time.time(), parent=self.plan.name).write(self.folder)
        self.tracker.tick(states)

    def _repeat(self, *, check: Callable[[], None]) -> int:
        """Train the winner and the recipe with fresh seeds, which no choice was made by, and score the test split."""
        best = self.record.best()
        if best is None:
            say("no trial ended with a number: nothing to repeat", console=self.console)
            return 1
        seeds = range(self.arguments.seed + 1, self.arguments.seed + 1 + self.arguments.repeat_best)
        settings = {"winner": self.record.values_of(best.number), "recipe": self.plan.own_values}
        runs = {label: [self.plan.repeat(values, seed=seed) for seed in seeds] for label, values in settings.items()}
        for planned in {planned.key: planned for some in runs.values() for planned in some}.values():
            prepare(planned, suite_dir=self.folder)
            self.trainings.add(planned)
        repeats = {label: [planned.key for planned in some] for label, some in runs.items()}
        describe_search(self.plan, arguments=self.arguments, folder=self.folder, repeats=repeats)
        keys = {key for some in repeats.values() for key in some}
        again = f"trial {best.number}, the winner, and the recipe with {len(seeds)} fresh seeds"
        say(f"trains {again}: {len(keys)} runs", console=self.console)

        def see(states: States) -> None:
            self._write_down(states)
            check()

        states = bring_to_end(self.driver, see=see, only=keys)
        self.trainings.states = self.driver.look()
        say(f"winner and recipe with {len(seeds)} fresh seeds: {summary(states)}", console=self.console)
        return 0 if all(state.status == "finished" for state in states.values()) else 1

    def _summary(self) -> str:
        counts = [
            (len(self.record.trials(TrialState.COMPLETE)), "trained to the end"),
            (len(self.record.trials(TrialState.PRUNED)), "stopped early"),
            (len(self.record.trials(TrialState.FAIL)), "failed"),
        ]
        return ", ".join(f"{count} {ended}" for count, ended in counts if count)


def _open(plan: SearchPlan, *, arguments: argparse.Namespace) -> StudyRecord:
    planned = plan.trial(plan.own_values)
    settings = {
        "space": {name: str(item) for name, item in plan.space.dimensions.items()},
        "objective": list(plan.objective.names),
        "pruner": arguments.pruner,
        "rungs": [list(bracket.rungs) for bracket in plan.brackets],
        "trial 0 (its settings, data and code)": planned.key,
    }
    record = open_study(
        search_dir(arguments, name=plan.name),
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


def _pretrain(
    plan: SearchPlan,
    *,
    arguments: argparse.Namespace,
    launcher: Launcher,
    console: PlainConsole,
    check: Callable[[], None],
) -> None:
    """Bring the pre-training that trials start from to its end, in the suite's folder, where a sweep finds it."""
    if not plan.pretrainings:
        return
    suite_dir = arguments.runs_dir.resolve() / plan.suite.name
    machine = Machine.this(max_parallel=arguments.max_parallel, devices=arguments.devices)
    works = works_of(plan.pretrainings, suite_dir=suite_dir, machine=machine)
    driver = Driver(works, suite_dir=suite_dir, launcher=launcher, machine=machine, hear=log_to(console))
    for planned in plan.pretrainings:
        prepare(planned, suite_dir=suite_dir)
    driver.recover()
    with FileLock(SuiteDir(suite_dir).lock) as lock:
        if not lock.try_take():  # a sweep of the suite, which trains it if it is part of that one's plan
            say(f"{lock.holder} drives {suite_dir}; this one waits for the pre-training or its turn", console=console)
        states = bring_to_end(driver, see=lambda _: check(), may_submit=lock.try_take)
    for key, state in states.items():
        if state.status != "finished":
            raise PreconditionError(f"trials start from {key}, which is {state.text}: {state.message}")
    say(f"pre-training: {summary(states)}", console=console)

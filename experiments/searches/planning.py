"""What a search is about, worked out from the command line before anything starts."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.recipes import Recipe
from benchmarks.task import Task
from experiments.plan.datasource import find_all_data, on_dataset
from experiments.plan.distinct import check_folder_name
from experiments.plan.errors import UsageError, unknown
from experiments.plan.feasible import check_plan
from experiments.plan.folders import check_free_for_search, check_free_for_suite
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.render import learning_rate, num_steps
from experiments.plan.settings import resolve_recipes
from experiments.plan.starts import resolve_starts
from experiments.plan.suite import (
    StartingWeights,
    Suite,
    SuiteRun,
    Transfer,
    expand,
    known_suites,
    load_suite,
    own_file,
    size_of,
)
from experiments.searches.rungs import Bracket, make_brackets
from experiments.searches.space import Space, load_space
from experiments.searches.study import Direction, Objective
from multimae.record.paths import CheckpointDir, RunDir
from multimae.tables.metrics import METRICS

COSTS = ("gpu_hours", "num_params")
FIXES_STEPS = ("epochs", "batch_size", "train_ratio", "num_train_images", "val_ratio")


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """A search: `template` is the trial with the recipe's own values, `pretrainings` what it waits for."""

    name: str
    suite: Suite
    template: SuiteRun
    pretrainings: tuple[PlannedRun, ...]
    weights: tuple[StartingWeights, ...]
    data: Data
    space: Space
    objective: Objective
    brackets: tuple[Bracket, ...]
    own_values: Mapping[str, Any]

    def planned(self, run: SuiteRun) -> PlannedRun:
        """Give a run of the search its key; what it starts from lies in the suite's folder."""
        runs = (*(pretraining.run for pretraining in self.pretrainings), run)
        planned = make_plan(runs, data=dict.fromkeys({one.dataset_name for one in runs}, self.data))[-1]
        if not planned.depends_on:
            return planned
        start = CheckpointDir(RunDir(Path("../..") / self.suite.name / planned.depends_on[0]).checkpoints).last
        return replace(planned, depends_on=(), start=str(start))

    def trial(self, values: Mapping[str, Any]) -> PlannedRun:
        """Return the run of a trial that chose these values."""
        return self.planned(replace(self.template, recipe=replace(self.template.recipe, **values)))

    def repeat(self, values: Mapping[str, Any], *, seed: int) -> PlannedRun:
        """Return a run with these values and another seed that is scored on the test split."""
        recipe = replace(self.template.recipe, **values)
        return self.planned(replace(self.template, recipe=recipe, seed=seed, judged_on="test", rungs=()))

    @property
    def rungs(self) -> tuple[int, ...]:
        """Every step at which some trial is judged, the end included."""
        return tuple(sorted({rung for bracket in self.brackets for rung in bracket.rungs}))


def plan_search(arguments: argparse.Namespace) -> SearchPlan:
    """Resolve names, data, recipe, space and brackets; every mistake in them is found here."""
    suite = on_dataset(load_suite(arguments.suite), name=arguments.dataset, data_root=arguments.data_root)
    transfer = _transfer(suite, task=arguments.task, inputs=arguments.inputs)
    recipes = resolve_recipes(suite.tasks, profile=arguments.profile, overrides=arguments.overrides)
    space = load_space(arguments.space, recipe=recipes[transfer.task.name])
    name = arguments.name or f"{transfer.task.name}-{'+'.join(transfer.inputs)}-{space.name}"
    _check_name(name, suite=suite, source=own_file(arguments.suite), runs_dir=arguments.runs_dir)
    _check_lr(space, recipe=recipes[transfer.task.name], task=transfer.task.name)
    objective = make_objective(arguments.objective, task=transfer.task)
    _check_pruning(arguments.pruner, space=space, objective=objective)
    chosen = (arguments.checkpoint,) if arguments.checkpoint else None
    names, weights = resolve_starts(suite, chosen=chosen, profile=arguments.profile)
    runs = expand(
        replace(suite, transfers=(transfer,)),
        recipes=recipes,
        profile=arguments.profile,
        size=size_of(suite, chosen=arguments.size, profile=arguments.profile),
        seeds=(arguments.seed,),
        checkpoints=names[:1],
        weights=[file for file in weights if file.name == names[0]],
    )
    found = find_all_data(runs, data_root=arguments.data_root)
    *pretrainings, own = make_plan(runs, data=found)
    try:
        steps = num_steps(own.run, data=own.data)
        brackets = make_brackets(arguments.pruner, max_steps=steps, eta=arguments.eta, min_ratio=arguments.min_ratio)
    except ValueError as error:
        raise UsageError(str(error)) from error
    inner = tuple(sorted({rung for bracket in brackets for rung in bracket.rungs[:-1]}))
    plan = SearchPlan(
        name=name,
        suite=suite,
        template=replace(own.run, suite=name, judged_on="val", rungs=inner),
        pretrainings=tuple(pretrainings),
        weights=tuple(weights),
        data=own.data,
        space=space,
        objective=objective,
        brackets=brackets,
        own_values=space.own_values(own.run.recipe),
    )
    check_plan((*plan.pretrainings, plan.trial(plan.own_values)), devices=arguments.devices)
    return plan


def make_objective(names: Sequence[str], *, task: Task) -> Objective:
    """Return the objective of these names: `val_<metric>` or a cost; by default the task's primary metric."""
    chosen = tuple(names) or (f"val_{task.primary.metric}",)
    if len(set(chosen)) != len(chosen):
        raise UsageError(f"--objective names something twice: {', '.join(chosen)}")
    return Objective(names=chosen, directions=tuple(map(_direction, chosen)))


def _direction(name: str) -> Direction:
    if name in COSTS:
        return "minimize"
    metric = name.removeprefix("val_")
    if metric == name or metric not in METRICS:
        raise unknown("objective", name, [*(f"val_{known}" for known in METRICS), *COSTS])
    return "maximize" if METRICS[metric].higher_is_better else "minimize"


def _transfer(suite: Suite, *, task: str, inputs: tuple[str, ...] | None) -> Transfer:
    of_task = [transfer for transfer in suite.transfers if transfer.task.name == task]
    if not of_task:
        raise unknown(f"transfer of suite {suite.name!r}", task, [one.name for one in suite.tasks])
    if inputs is None:
        return of_task[0]
    try:
        return replace(of_task[0], inputs=inputs)
    except ValueError as error:
        raise UsageError(f"--inputs: {error}") from error


def _check_name(name: str, *, suite: Suite, source: Path | None, runs_dir: Path) -> None:
    """Raise UsageError where a search's folder, or that of the pre-training it starts from, is something else's."""
    try:
        check_folder_name(name, what="search")
    except ValueError as error:
        raise UsageError(str(error)) from error
    if name in (suite.name, *known_suites()):
        raise UsageError(
            f"a search cannot be called {name!r}, as a suite is: each has a folder of its name, with its runs, lock "
            f"and report; name it otherwise: --name {name}-search"
        )
    check_free_for_search(runs_dir / name)
    check_free_for_suite(runs_dir / suite.name, source=source)


def _check_lr(space: Space, *, recipe: Recipe, task: str) -> None:
    """Raise UsageError where the learning rate that is searched over is not the one that trains."""
    if "lr" in space.dimensions and "base_lr" not in space.dimensions and recipe.base_lr:
        raise UsageError(
            f"space {space.name!r} searches over lr, but base_lr of {task} is {recipe.base_lr} and wins; for the same "
            f"training by its absolute learning rate --set {task}.base_lr=0 --set {task}.lr={learning_rate(recipe):g}"
        )


def _check_pruning(pruner: str, *, space: Space, objective: Objective) -> None:
    if pruner == "none":
        return
    if len(objective.names) > 1 or objective.names[0] in COSTS:
        raise UsageError(f"--pruner {pruner} judges trials by one metric on the way; with others use --pruner none")
    if fixed := [name for name in space.dimensions if name in FIXES_STEPS]:
        raise UsageError(
            f"space {space.name!r} searches over {', '.join(fixed)}, which change how long a training is or how it is "
            f"done; --pruner {pruner} compares trainings at the same step: use --pruner none"
        )


def search_dir(arguments: argparse.Namespace, *, name: str) -> Path:
    """Return the folder of a search: that of a suite of its name."""
    folder: Path = arguments.runs_dir.resolve() / name
    return folder

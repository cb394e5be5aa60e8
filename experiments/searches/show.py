"""A search as a person sees it: its space and brackets before it starts, a line per trial while it runs."""

import argparse
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from experiments.drive.screen import log_to
from experiments.searches.planning import SearchPlan
from multimae.console import PlainConsole
from multimae.record.text import one_line


def print_search(plan: SearchPlan, *, arguments: argparse.Namespace, console: PlainConsole) -> None:
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


class TrialLog:
    """Say in a line each which trials have changed since the last look."""

    def __init__(self, console: PlainConsole) -> None:
        self._console = console
        self._said: dict[int, str] = {}

    def show(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the log up to date."""
        for trial in trials:
            said = _standing(trial)
            if self._said.get(trial.number) != said:
                log_to(self._console)(f"trial {trial.number}: {said}")
                self._said[trial.number] = said


def _standing(trial: FrozenTrial) -> str:
    """Say in a line how a trial stands."""
    chosen = ", ".join(f"{name}={_short(value)}" for name, value in trial.user_attrs.get("values", {}).items())
    reached = max(trial.intermediate_values.items(), default=None)
    score = f"{reached[1]:.4g} at step {reached[0]}" if reached else ""
    if trial.state is TrialState.COMPLETE:
        return f"ended with {', '.join(f'{value:.4g}' for value in trial.values)}"
    if trial.state is TrialState.PRUNED:
        return f"stopped early, {score}"
    if trial.state is TrialState.FAIL:
        return f"failed: {one_line(str(trial.user_attrs.get('failed', '')))}"
    return score or f"started with {chosen}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

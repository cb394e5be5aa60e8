"""A search as it goes: look at the trainings, tell what is known, fill every free slot. No training is known here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, Protocol

from optuna.trial import TrialState

from experiments.searches.rungs import Bracket, Pruner, beaten_by_median, bracket_turns, promoted
from experiments.searches.study import Asked, StudyRecord

Standing = Literal["active", "waiting", "finished", "failed"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a trial's training stands.

    `waiting`: it has reached the rung it was allowed to and holds a checkpoint. `scores`: what it reached at each rung,
    NaN where it diverged. `values`: the objective's, once finished.
    """

    standing: Standing
    scores: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    values: tuple[float, ...] = ()
    message: str = ""


class Trainings(Protocol):
    """What trains the trials: jobs, or a simulation of them."""

    def start(self, number: int, *, values: Mapping[str, Any], until: int) -> str:
        """Train a trial up to step `until`, from its checkpoint if there is one; return a name for what is trained.

        Trials of the same values have the same name, and are trained once.
        """

    def look(self, names: Mapping[int, str]) -> Mapping[int, Look]:
        """Say how the trainings of these trials stand."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many trials there are to be, how many train at a time, how often a lost one is tried again."""

    trials: int
    parallel: int
    retries: int = 1


class Search:
    """Drive a study; all state is in the study and the trainings, so a new process goes on where an old one ended."""

    def __init__(
        self, record: StudyRecord, *, trainings: Trainings, pruner: Pruner, brackets: Sequence[Bracket], budget: Budget
    ) -> None:
        self.record = record
        self.trainings = trainings
        self.pruner = pruner
        self.brackets = tuple(brackets)
        self.budget = budget
        self._turns = bracket_turns(self.brackets)
        self._bracket_of: list[int] = []

    def step(self) -> bool:
        """Look once and act on it; return whether anything is left to do."""
        looks = self._look()
        self._record(looks)
        # Only now: a trial that has just ended gives its slot back in this very step.
        running = {trial.number for trial in self.record.trials(TrialState.RUNNING)}
        active = {number for number in running if number not in looks or looks[number].standing == "active"}
        waiting = {number for number in running - active if looks[number].standing == "waiting"}
        if self.pruner == "median":
            waiting -= self._prune_beaten(waiting)
        free = self.budget.parallel - len(active)
        while free > 0 and self._fill_slot(waiting):
            free -= 1
        if active or free < self.budget.parallel:
            return True  # a trial that waits may yet be among the best, once those that train have their scores
        if self._train_best_to_end(waiting):
            return True
        for number in sorted(waiting):  # nobody is left to be compared with
            self.record.prune(number)
        return False

    def bracket(self, number: int) -> Bracket:
        """Return the bracket a trial is judged in."""
        return self.brackets[self._index_of_bracket(number)]

    def _index_of_bracket(self, number: int) -> int:
        self._bracket_of += islice(self._turns, max(0, number + 1 - len(self._bracket_of)))
        return self._bracket_of[number]

    def _look(self) -> dict[int, Look]:
        """Look at every open trial; one that was asked for but never started is forgotten, and asked for again."""
        names: dict[int, str] = {}
        for trial in self.record.trials(TrialState.RUNNING):
            if "training" in trial.user_attrs:
                names[trial.number] = trial.user_attrs["training"]
            else:
                values = self.record.values_of(trial.number)
                self._start(Asked(number=trial.number, values=values), until=self._first(trial.number))
        return dict(self.trainings.look(names))

    def _record(self, looks: Mapping[int, Look]) -> None:
        reported = {trial.number: trial.intermediate_values for trial in self.record.trials(TrialState.RUNNING)}
        for number, look in sorted(looks.items()):
            if not look.scores.keys() <= reported[number].keys():
                self.record.report(number, scores=look.scores)
            if look.standing == "finished":
                self.record.tell(number, values=look.values)
            elif look.standing == "failed":
                self._lose(number, why=look.message)

    def _lose(self, number: int, *, why: str) -> None:
        trial = self.record.trial(number)
        tries = int(trial.user_attrs.get("tries", 1))
        # Asked for again before it is failed: a driver killed in between tries it once too often, not never.
        if tries <= self.budget.retries:
            self.record.enqueue(self.record.values_of(number), tries=tries + 1, retry_of=number)
        self.record.fail(number, why=why)

    def _prune_beaten(self, waiting: set[int]) -> set[int]:
        """End the trials that the median rule ends."""
        scores = self.record.scores()
        beaten = {number for number in waiting if beaten_by_median(number, scores=scores, rung=max(scores[number]))}
        for number in sorted(beaten):
            self.record.prune(number)
        return beaten

    def _fill_slot(self, waiting: set[int]) -> bool:
        """Start one training: of a trial that is promoted, else of a new one; return whether there was one to start."""
        next_up = self._promoted(waiting)
        if next_up is not None:
            waiting.remove(next_up)
            self._go_on(next_up, until=self.bracket(next_up).after(max(self.record.scores()[next_up])))
            return True
        if self._spent() >= self.budget.trials:
            return False
        asked = self.record.ask()
        self._start(asked, until=self._first(asked.number))
        return True

    def _promoted(self, waiting: set[int]) -> int | None:
        if self.pruner == "median":
            return min(waiting, default=None)
        if not waiting:
            return None
        scores = self.record.scores()
        for index, bracket in enumerate(self.brackets):
            members = {number: own for number, own in scores.items() if self._index_of_bracket(number) == index}
            for number in promoted(members, waiting=waiting & members.keys(), bracket=bracket):
                return number
        return None

    def _train_best_to_end(self, waiting: set[int]) -> bool:
        """Let the best of a budget that was too small for a last rung reach it: a search has to name a winner."""
        scores = {number: own for number, own in self.record.scores().items() if number in waiting}
        alive = [number for number, own in scores.items() if own[max(own)] > -math.inf]
        if not alive or self.record.best() is not None:
            return False
        best = max(alive, key=lambda number: (max(scores[number]), scores[number][max(scores[number])], -number))
        self._go_on(best, until=self.bracket(best).rungs[-1])
        return True

    def _spent(self) -> int:
        """Count the trials that the budget has paid for: a lost one that is tried again is paid once."""
        asked = self.record.trials()
        queued = self.record.trials(TrialState.WAITING)
        return len(asked) - sum("retry_of" in trial.user_attrs for trial in (*asked, *queued))

    def _first(self, number: int) -> int:
        return self.bracket(number).after(0)

    def _go_on(self, number: int, *, until: int) -> None:
        self._start(Asked(number=number, values=self.record.values_of(number)), until=until)

    def _start(self, asked: Asked, *, until: int) -> None:
        name = self.trainings.start(asked.number, values=asked.values, until=until)
        self.record.note(asked.number, training=name)

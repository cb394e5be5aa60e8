"""The record of a search: an Optuna study with one writer, the same however often it was closed and opened again."""

import json
import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.plan.errors import UsageError
from experiments.searches.space import Space
from experiments.searches.storage import open_storage

SamplerName = Literal["tpe", "random", "cmaes", "gp", "nsga2"]
Direction = Literal["maximize", "minimize"]
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is searched for: metric names, and which way each is better."""

    names: tuple[str, ...]
    directions: tuple[Direction, ...]

    def worst(self) -> tuple[float, ...]:
        """Return the value of a training that diverged: worse than any other, and no number anybody could reach."""
        return tuple(-math.inf if direction == "maximize" else math.inf for direction in self.directions)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trial and the recipe fields it chose."""

    number: int
    values: Mapping[str, Any]


class StudyRecord:
    """A study that this process alone writes to.

    The sampler is made anew for every question, seeded by the search's seed and the trial's number: a driver that was
    killed and started again asks as one that never was.
    """

    def __init__(self, study: optuna.Study, *, space: Space, objective: Objective, sampler: SamplerName, seed: int):
        self.study = study
        self.space = space
        self.objective = objective
        self.sampler = sampler
        self.seed = seed

    def ask(self) -> Asked:
        """Let the sampler, or the queue of enqueued trials, choose the next trial."""
        everything = self.study.get_trials(deepcopy=False)
        queued = [trial.number for trial in everything if trial.state is TrialState.WAITING]
        self._seed_for(min(queued, default=len(everything)))
        trial = self.study.ask()
        return Asked(number=trial.number, values=self._choose(trial))

    def values_of(self, number: int) -> Mapping[str, Any]:
        """Return what a trial chose; a driver killed between two choices left the rest to be chosen."""
        trial = self.trial(number)
        if "values" in trial.user_attrs:
            return cast(Mapping[str, Any], trial.user_attrs["values"])
        self._seed_for(number)
        return self._choose(self._handle(trial))

    def enqueue(self, values: Mapping[str, Any], **attributes: Any) -> None:
        """Put these values in front of what the sampler would choose."""
        self.study.enqueue_trial(dict(values), user_attrs=attributes)

    def report(self, number: int, *, scores: Mapping[int, float]) -> None:
        """Record the scores that a trial has reached at its rungs; those known already are left alone.

        Optuna keeps none for several objectives, which are not pruned.
        """
        if len(self.objective.names) > 1:
            return
        trial = self.trial(number)
        handle = self._handle(trial)
        for step, score in sorted(scores.items()):
            if step not in trial.intermediate_values:
                handle.report(score, step)

    def note(self, number: int, **attributes: Any) -> None:
        """Write down attributes of a trial."""
        handle = self._handle(self.trial(number))
        for name, value in attributes.items():
            handle.set_user_attr(name, value)

    def tell(self, number: int, *, values: Sequence[float]) -> None:
        """End a trial with its values; NaN is the worst value there is, and noted as diverged."""
        if any(math.isnan(value) for value in values):
            self.note(number, diverged=True)
            values = self.objective.worst()
        self.study.tell(number, list(values))

    def prune(self, number: int) -> None:
        """End a trial that is not worth training on."""
        self.study.tell(number, state=TrialState.PRUNED)

    def fail(self, number: int, *, why: str) -> None:
        """End a trial that has no value and never will have."""
        self.note(number, failed=why)
        self.study.tell(number, state=TrialState.FAIL)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials that were asked for, of these states or of any; queued ones are not among them."""
        wanted = states or (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state in wanted]

    def trial(self, number: int) -> FrozenTrial:
        """Return one trial."""
        return self.study.get_trials(deepcopy=False)[number]

    def scores(self) -> dict[int, dict[int, float]]:
        """Return every trial's scores at its rungs, larger being better."""
        sign = 1.0 if self.objective.directions[0] == "maximize" else -1.0
        return {
            trial.number: {step: _or_worst(sign * value) for step, value in trial.intermediate_values.items()}
            for trial in self.trials()
        }

    def best(self) -> FrozenTrial | None:
        """Return the best completed trial of a single objective that did not diverge."""
        finite = [trial for trial in self.trials(TrialState.COMPLETE) if all(map(math.isfinite, trial.values))]
        sign = 1.0 if self.objective.directions[0] == "maximize" else -1.0
        return max(finite, key=lambda trial: (sign * trial.values[0], -trial.number), default=None)

    def _seed_for(self, number: int) -> None:
        self.study.sampler = make_sampler(self.sampler, seed=zlib.crc32(f"{self.seed}:{number}".encode()))

    def _choose(self, trial: Trial) -> Mapping[str, Any]:
        values = self.space.suggest(trial)
        trial.set_user_attr("values", values)
        return values

    def _handle(self, trial: FrozenTrial) -> Trial:
        return Trial(self.study, trial._trial_id)


def open_study(
    folder: Path,
    *,
    name: str,
    storage: str | None,
    space: Space,
    objective: Objective,
    sampler: SamplerName,
    seed: int,
    settings: Mapping[str, Any],
) -> StudyRecord:
    """Create the study, or go on with it; `settings` are what must not change between the two."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=open_storage(folder, url=storage),
        study_name=name,
        directions=list(objective.directions),
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ExperimentalWarning
        )  # the dashboard shows the names; our code does not read them
        study.set_metric_names(list(objective.names))
    wanted = json.loads(json.dumps({**settings, "sampler": sampler, "seed": seed}))
    recorded = study.user_attrs.get("settings")
    if recorded is None:
        study.set_user_attr("settings", wanted)
    elif recorded != wanted:
        changed = [name for name in {*recorded, *wanted} if recorded.get(name) != wanted.get(name)]
        listed = "; ".join(f"{name}: {recorded.get(name)} -> {wanted.get(name)}" for name in sorted(changed))
        raise UsageError(f"search {name!r} was begun with other settings ({listed}); give it another --name")
    return StudyRecord(study, space=space, objective=objective, sampler=sampler, seed=seed)


def make_sampler(name: SamplerName, *, seed: int) -> BaseSampler:
    """Return a sampler; TPE takes running trials for bad ones, so that parallel trials do not repeat each other."""
    if name == "cmaes":
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name == "gp":
        return GPSampler(seed=seed, warn_independent_sampling=False)
    if name == "tpe":
        return TPESampler(seed=seed, constant_liar=True)
    samplers: Mapping[str, type[RandomSampler | NSGAIISampler]] = {"random": RandomSampler, "nsga2": NSGAIISampler}
    return samplers[name](seed=seed)


def _or_worst(score: float) -> float:
    return -math.inf if math.isnan(score) else score

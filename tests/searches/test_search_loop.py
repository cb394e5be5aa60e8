"""A search from the first trial to the last, on simulated trainings: slots, budget, promotions, restarts, losses."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from benchmarks.speed.simulated import SimulatedTrainings, height
from experiments.plan.errors import UsageError
from experiments.searches.loop import Budget, Search
from experiments.searches.rungs import Pruner, make_brackets
from experiments.searches.space import Dimension, Space
from experiments.searches.study import Objective, SamplerName, StudyRecord, open_study

SPACE = Space(
    name="two",
    dimensions={
        "lr": Dimension(distribution=FloatDistribution(1e-5, 1e-1, log=True)),
        "layer_decay": Dimension(distribution=FloatDistribution(0.5, 1.0)),
    },
)
BEST = Objective(names=("val_miou",), directions=("maximize",))
MAX_STEPS = 90


def study_in(
    folder: Path, *, sampler: SamplerName = "tpe", objective: Objective = BEST, **settings: Any
) -> StudyRecord:
    return open_study(
        folder, name="s", storage=None, space=SPACE, objective=objective, sampler=sampler, seed=0, settings=settings
    )


def trainings(pruner: Pruner = "asha", **settings: Any) -> SimulatedTrainings:
    rungs = make_brackets(pruner, max_steps=MAX_STEPS)[0].rungs
    return SimulatedTrainings(max_steps=MAX_STEPS, rungs=rungs, **settings)


def search(
    record: StudyRecord, trained: Any, *, pruner: Pruner = "asha", trials: int = 24, parallel: int = 4
) -> Search:
    return Search(
        record,
        trainings=trained,
        pruner=pruner,
        brackets=make_brackets(pruner, max_steps=MAX_STEPS),
        budget=Budget(trials=trials, parallel=parallel),
    )


def finish(searching: Search, trained: SimulatedTrainings, watch: Callable[[], None] = lambda: None) -> None:
    for _ in range(2000):
        going = searching.step()
        watch()
        if not going:
            return
        trained.tick()
    raise AssertionError("the search never ends")


def story(record: StudyRecord) -> list[Any]:
    """Everything that a study says, less the times of day."""
    return [
        (trial.number, trial.state.name, trial.params, trial.values, trial.intermediate_values, trial.user_attrs)
        for trial in record.study.get_trials()
    ]


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "gp", "nsga2"])
@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median", "none"])
def test_a_search_spends_its_budget_and_leaves_nothing_open(
    tmp_path: Path, sampler: SamplerName, pruner: Pruner
) -> None:
    record, trained = study_in(tmp_path, sampler=sampler), trainings(pruner)
    finish(search(record, trained, pruner=pruner), trained)
    states = [trial.state for trial in record.study.get_trials()]
    assert len(states) == 24
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert (TrialState.PRUNED in states) == (pruner != "none")
    best = record.best()
    assert best is not None
    assert best.value == max(trial.value for trial in record.trials(TrialState.COMPLETE) if trial.value is not None)


def test_every_slot_is_taken_at_once_and_no_more(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    counts: list[int] = []
    finish(search(record, trained, pruner="none"), trained, watch=lambda: counts.append(len(trained.ends())))
    assert set(counts[:20]) == {4}
    assert max(counts) == 4


def test_a_promoted_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings()
    finish(search(record, trained), trained)
    again = [(name, since, until) for name, since, until in trained.starts if since]
    assert again
    for name, since, until in again:
        assert (name, since) in {(other, reached) for other, _, reached in trained.starts}
        assert until > since
    # About one in three of the trials at a rung goes on: some that are let on early are overtaken later.
    at = {rung: sum(rung in trial.intermediate_values for trial in record.trials()) for rung in (10, 30, 90)}
    assert at[10] == 24
    assert at[30] < at[10] / 2
    assert at[90] < at[30] / 2


def killed_after(actions: int) -> tuple[type[Exception], Callable[[Any], Any]]:
    """Wrap an object so that its methods raise after so many calls, as a killed driver stops anywhere."""

    class KilledError(Exception):
        pass

    left = itertools.count(actions, -1)

    def wrapped(inner: Any) -> Any:
        class Fragile:
            def __getattr__(self, name: str) -> Any:
                value = getattr(inner, name)
                if not callable(value):
                    return value

                def call(*args: Any, **kwargs: Any) -> Any:
                    if next(left) == 0:
                        raise KilledError
                    return value(*args, **kwargs)

                return call

        return Fragile()

    return KilledError, wrapped


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
@pytest.mark.parametrize("pruner", ["asha", "median"])
def test_a_driver_killed_anywhere_changes_nothing(tmp_path: Path, pruner: Pruner, sampler: SamplerName) -> None:
    whole, trained = study_in(tmp_path / "whole", sampler=sampler), trainings(pruner)
    finish(search(whole, trained, pruner=pruner), trained)

    trained, kills = trainings(pruner), 0
    for actions in itertools.chain((1, 2, 3, 5, 8), itertools.repeat(31)):
        record = study_in(tmp_path / "killed", sampler=sampler)
        killed, fragile = killed_after(actions)
        searching = search(fragile(record), fragile(trained), pruner=pruner)
        try:
            finish(searching, trained)
            break
        except killed:
            kills += 1
            assert kills < 500
    assert kills > 10
    assert story(study_in(tmp_path / "killed", sampler=sampler)) == story(whole)


@pytest.mark.parametrize("trials", [1, 3])
def test_a_budget_too_small_for_the_last_rung_still_has_a_winner(tmp_path: Path, trials: int) -> None:
    record, trained = study_in(tmp_path), trainings()
    finish(search(record, trained, trials=trials, parallel=2), trained)
    (winner,) = record.trials(TrialState.COMPLETE)
    assert len(record.trials(TrialState.PRUNED)) == trials - 1
    first = min(trained.rungs)
    assert all(winner.intermediate_values[first] >= trial.intermediate_values[first] for trial in record.trials())


def test_a_budget_of_diverged_trials_has_none(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings(height=lambda values: math.nan)
    finish(search(record, trained, trials=3), trained)
    assert record.best() is None
    assert not record.trials(TrialState.RUNNING)


def test_a_larger_budget_goes_on_where_the_smaller_ended(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    finish(search(record, trained, pruner="none", trials=8), trained)
    finish(search(study_in(tmp_path), trained, pruner="none", trials=12), trained)
    assert len(study_in(tmp_path).trials(TrialState.COMPLETE)) == 12
    assert len(trained.trained) == 12


def test_the_recipes_own_values_are_the_first_trial(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    record.enqueue({"lr": 2e-3, "layer_decay": 0.75})
    finish(search(record, trained, pruner="none", trials=4), trained)
    assert record.trial(0).params == {"lr": 2e-3, "layer_decay": 0.75}


def test_a_lost_training_is_tried_once_more_and_then_given_up(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    searching = search(record, trained, pruner="none", trials=3, parallel=1)
    searching.step()
    first = record.trial(0)
    for _ in range(2):
        trained.lost.add(first.user_attrs["training"])
        searching.step()
    states = [(trial.state, trial.user_attrs.get("retry_of")) for trial in record.trials()]
    assert states[:2] == [(TrialState.FAIL, None), (TrialState.FAIL, 0)]
    finish(searching, trained)
    # The budget of three: two that were trained beside the one that was lost twice.
    assert [trial.state for trial in record.trials()].count(TrialState.COMPLETE) == 2


def test_a_diverged_training_is_the_worst_result_not_a_crash_nor_zero(tmp_path: Path) -> None:
    record = study_in(tmp_path)
    trained = trainings(height=lambda values: math.nan if values["lr"] > 1e-3 else height(values))
    finish(search(record, trained), trained)
    diverged = [trial for trial in record.trials() if trial.params["lr"] > 1e-3]
    assert diverged
    for trial in diverged:
        assert trial.state is TrialState.PRUNED or (trial.value == -math.inf and trial.user_attrs["diverged"])
        assert set(trial.intermediate_values) == {10}  # never promoted
    best = record.best()
    assert best is not None
    assert best.params["lr"] <= 1e-3


def test_the_same_values_are_trained_once(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    for _ in range(3):
        record.enqueue({"lr": 2e-3, "layer_decay": 0.75})
    finish(search(record, trained, pruner="none", trials=5, parallel=2), trained)
    assert len(trained.trained) == 3
    assert len({trial.value for trial in record.trials()[:3]}) == 1


def test_a_search_does_not_go_on_with_other_settings(tmp_path: Path) -> None:
    study_in(tmp_path, epochs=5)
    with pytest.raises(UsageError, match=r"begun with other settings \(epochs: 5 -> 6\)"):
        study_in(tmp_path, epochs=6)


def test_the_journal_is_plain_lines_of_json(tmp_path: Path) -> None:
    record, trained = study_in(tmp_path), trainings("none")
    finish(search(record, trained, pruner="none", trials=2), trained)
    assert [json.loads(line) for line in (tmp_path / "study.journal").read_text().splitlines()]

"""The searches that are compared differ in when and from where trials train, and in nothing else."""

import statistics
from pathlib import Path

import pytest

from benchmarks.speed import search
from benchmarks.speed.search import Outcome, SearchSize, search_at_once, search_in_batches
from benchmarks.speed.simulated import SimulatedTrainings
from experiments.searches.study import Asked

SMALL = SearchSize(trials=15, slots=3)  # more than TPE draws at random
SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_slot_waits_for_a_batch(seed: int) -> None:
    at_once, batches = search_at_once(SMALL, seed=seed, pruner="none"), search_in_batches(SMALL, seed=seed)
    assert at_once.num_ended == batches.num_ended == SMALL.trials
    # The n-th trial takes equally long in both, so this holds of any durations: none starts later than in batches.
    assert 0 <= at_once.idle <= batches.idle
    assert at_once.wall <= batches.wall
    busy = [(1 - outcome.idle) * outcome.wall for outcome in (at_once, batches)]
    assert busy[0] == pytest.approx(busy[1])


def test_a_promotion_from_scratch_trains_the_same_steps_again() -> None:
    # With one slot nothing depends on durations: both searches choose, judge and promote alike.
    alone = SearchSize(trials=15, slots=1)
    walls = {
        source: search_at_once(alone, seed=0, pruner="asha", promoted_from=source).wall
        for source in ("checkpoint", "scratch")
    }
    whole = search_at_once(alone, seed=0, pruner="none").wall
    assert walls["checkpoint"] < walls["scratch"] < whole


@pytest.mark.parametrize(("source", "start"), [("checkpoint", 10), ("scratch", 0)])
def test_a_promoted_training_takes_the_steps_it_says(source: str, start: int) -> None:
    trainings = SimulatedTrainings(max_steps=90, rungs=(10, 30, 90))
    trainings.promoted_from = source  # type: ignore[assignment]
    name = trainings.start(0, values={"lr": 1e-3}, until=10)
    trainings.tick()
    first = trainings.now
    assert set(trainings.look({0: name})[0].scores) == {10}
    assert trainings.start(0, values={"lr": 1e-3}, until=30) == name
    look = trainings.look({0: name})[0]
    assert (look.standing, set(look.scores)) == ("active", {10})  # what it was judged by is not forgotten
    trainings.tick()
    look = trainings.look({0: name})[0]
    assert (look.standing, set(look.scores)) == ("waiting", {10, 30})
    assert trainings.now - first == pytest.approx((30 - start) * first / 10)
    assert trainings.busy_seconds == pytest.approx(trainings.now)


def test_promoting_from_checkpoints_is_faster_on_several_slots() -> None:
    found = search.compare(SMALL, seeds=SEEDS)
    walls = {way: statistics.median(one.wall for one in outcomes) for way, outcomes in found.items()}
    assert list(walls) == sorted(walls, key=lambda way: -walls[way])  # every way is faster than the one before
    assert {one.num_ended for outcomes in found.values() for one in outcomes} == {SMALL.trials}


def test_costs_are_of_the_trials_after_those_that_were_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []
    ask = search.TimedRecord.ask

    def watched(record: search.TimedRecord) -> Asked:
        asked = ask(record)
        numbers.append(asked.number)
        return asked

    monkeypatch.setattr(search.TimedRecord, "ask", watched)
    cost = search.measure_cost(12, folder=tmp_path, num_measured=4, slots=2)
    assert numbers == list(range(12, 12 + 2 + 4))
    assert 0 < cost.ask < cost.loop
    assert 0 < cost.tell < cost.loop
    assert (tmp_path / "study.journal").exists()


def test_prints_every_way_and_fails_where_a_trial_is_left_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--trials", "6", "--slots", "2", "--seeds", "1", "--known", "5", "--measured", "2"]
    monkeypatch.setattr("sys.argv", ["search.py", *options])
    assert search.main() == 0
    printed = capsys.readouterr().out
    assert all(printed.count(way) == 1 for way in search.WAYS)
    assert "ask ms" in printed
    left_open = {search.BATCHES: lambda size, *, seed: Outcome(wall=1.0, idle=0.0, num_ended=size.trials - 1)}
    monkeypatch.setattr(search, "WAYS", left_open)
    assert search.main() == 1

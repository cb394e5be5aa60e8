"""How well a search keeps its slots busy, what promotion from checkpoints saves, and what the search itself costs.

The loop, study, sampler and rungs are those of `experiments/search.py`; the trainings only take simulated time, of
lognormal length, the same for the n-th trial of every way. The rivals: batches that wait for their slowest trial, as
Hydra's sweeper runs them, and promotions that train from scratch again, as where a trial is a job. Every row is the
median over searches of other seeds, with its ratio to the first row search by search. A slot is free until the last
training has ended. Not simulated: the time a driver takes to notice, and whether pruning loses a good trial (curves
never cross). Exits with 1 if a trial is left without a value.

What a question to the sampler (TPE, with other trials running) and an answer cost is real time on this machine's disk,
now; most of it are the journal's fsyncs.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from benchmarks.nyuv2 import SEMSEG
from benchmarks.speed.simulated import SimulatedTrainings, height
from experiments.searches.loop import Budget, Search
from experiments.searches.rungs import Pruner, make_brackets
from experiments.searches.space import Space, load_space
from experiments.searches.study import Asked, Objective, StudyRecord, open_study

SPACE: Space = load_space("finetune", recipe=SEMSEG.recipes["cpu"])
OBJECTIVE = Objective(names=("val_miou",), directions=("maximize",))
MAX_STEPS = 90
BATCHES = "no pruning, in batches"


@dataclass(frozen=True, kw_only=True)
class SearchSize:
    """How many trials a search has, and how many train at a time."""

    trials: int
    slots: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a search went: wall time in whole trainings of median length, share of its slots' time that was idle."""

    wall: float
    idle: float
    num_ended: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Median milliseconds of the driver's work for one trial: `loop` is all of it, `ask` and `tell` are parts."""

    ask: float
    tell: float
    loop: float


def search_in_batches(size: SearchSize, *, seed: int) -> Outcome:
    """Ask for as many trials as there are slots, wait for all of them, tell all, ask again."""
    record, trainings = _record_in_memory(seed), _trainings("none", seed=seed)
    for first in range(0, size.trials, size.slots):
        asked = [record.ask() for _ in range(first, min(first + size.slots, size.trials))]
        names = {one.number: trainings.start(one.number, values=one.values, until=MAX_STEPS) for one in asked}
        while trainings.ends():
            trainings.tick()
        for number, look in sorted(trainings.look(names).items()):
            record.tell(number, values=look.values)
    return _outcome(record, trainings, slots=size.slots)


def search_at_once(
    size: SearchSize, *, seed: int, pruner: Pruner, promoted_from: Literal["checkpoint", "scratch"] = "checkpoint"
) -> Outcome:
    """Search as `experiments/search.py` does: a free slot gets the next training at once."""
    record, trainings = _record_in_memory(seed), _trainings(pruner, seed=seed)
    trainings.promoted_from = promoted_from
    search = _search(record, trainings, pruner=pruner, size=size)
    while search.step():
        trainings.tick()
    return _outcome(record, trainings, slots=size.slots)


WAYS: Mapping[str, Callable[..., Outcome]] = MappingProxyType(
    {
        BATCHES: search_in_batches,
        "no pruning, at once": lambda size, *, seed: search_at_once(size, seed=seed, pruner="none"),
        "ASHA, promoted from scratch": lambda size, *, seed: search_at_once(
            size, seed=seed, pruner="asha", promoted_from="scratch"
        ),
        "ASHA, from checkpoints": lambda size, *, seed: search_at_once(size, seed=seed, pruner="asha"),
    }
)


def compare(size: SearchSize, *, seeds: Sequence[int]) -> dict[str, list[Outcome]]:
    """Search in every way with every seed."""
    return {way: [search(size, seed=seed) for seed in seeds] for way, search in WAYS.items()}


def report(outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Print how long every way took, and how idle its slots were."""
    print(f"{'search':30}{'wall time':>10}{'ratio':>7}{'(lowest, highest)':>19}{'idle slots':>12}")
    for way, found in outcomes.items():
        ratios = [one.wall / other.wall for one, other in zip(outcomes[BATCHES], found, strict=True)]
        wall = statistics.median(one.wall for one in found)
        idle = statistics.median(one.idle for one in found)
        spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
        print(f"{way:30}{wall:>10.2f}{statistics.median(ratios):>7.2f}{spread:>19}{idle:>12.1%}")


class TimedRecord(StudyRecord):
    """A record that knows how long its questions and answers took, in seconds."""

    def begin(self) -> None:
        """Forget what was measured before."""
        self.asks: list[float] = []
        self.tells: list[float] = []

    def ask(self) -> Asked:
        start = time.perf_counter()
        asked = super().ask()
        self.asks.append(time.perf_counter() - start)
        return asked

    def tell(self, number: int, *, values: Sequence[float]) -> None:
        start = time.perf_counter()
        super().tell(number, values=values)
        self.tells.append(time.perf_counter() - start)


def measure_cost(num_known: int, *, folder: Path, num_measured: int, slots: int) -> Cost:
    """Go on with a search in a journal that knows `num_known` trials already."""
    record = _record_on_disk(folder)
    _add_random_trials(record, num=num_known)
    trainings = _trainings("none", seed=0)
    size = SearchSize(trials=num_known + slots + num_measured, slots=slots)
    search = _search(record, trainings, pruner="none", size=size)
    search.step()  # fills the slots
    record.begin()
    steps = []
    for _ in range(num_measured):  # one ends, the next is asked for
        trainings.tick()
        start = time.perf_counter()
        search.step()
        steps.append(time.perf_counter() - start)
    ask, tell, loop = (1000 * statistics.median(seconds) for seconds in (record.asks, record.tells, steps))
    return Cost(ask=ask, tell=tell, loop=loop)


def report_costs(nums_known: Sequence[int], *, num_measured: int, slots: int) -> None:
    """Print what a trial costs a search that knows so many others."""
    print(f"\n{'trials known':>12}{'ask ms':>10}{'tell ms':>10}{'whole loop, ms a trial':>25}")
    for num_known in nums_known:
        with tempfile.TemporaryDirectory() as folder:
            cost = measure_cost(num_known, folder=Path(folder), num_measured=num_measured, slots=slots)
        print(f"{num_known:>12}{cost.ask:>10.1f}{cost.tell:>10.1f}{cost.loop:>25.1f}")


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    size = SearchSize(trials=arguments.trials, slots=arguments.slots)
    seeds = range(arguments.seeds)
    print(
        f"{size.trials} trials, {size.slots} at a time; medians of {len(seeds)} searches; wall time in whole trainings"
    )
    outcomes = compare(size, seeds=seeds)
    report(outcomes)
    report_costs(arguments.known, num_measured=arguments.measured, slots=size.slots)
    return int(any(one.num_ended != size.trials for found in outcomes.values() for one in found))


def _search(record: StudyRecord, trainings: SimulatedTrainings, *, pruner: Pruner, size: SearchSize) -> Search:
    brackets = make_brackets(pruner, max_steps=MAX_STEPS)
    budget = Budget(trials=size.trials, parallel=size.slots)
    return Search(record, trainings=trainings, pruner=pruner, brackets=brackets, budget=budget)


def _trainings(pruner: Pruner, *, seed: int) -> SimulatedTrainings:
    (bracket,) = make_brackets(pruner, max_steps=MAX_STEPS)
    return SimulatedTrainings(max_steps=MAX_STEPS, rungs=bracket.rungs, seed=seed)


def _record_in_memory(seed: int) -> StudyRecord:
    study = optuna.create_study(directions=list(OBJECTIVE.directions))
    return StudyRecord(study, space=SPACE, objective=OBJECTIVE, sampler="tpe", seed=seed)


def _record_on_disk(folder: Path) -> TimedRecord:
    opened = open_study(
        folder, name="cost", storage=None, space=SPACE, objective=OBJECTIVE, sampler="tpe", seed=0, settings={}
    )
    record = TimedRecord(opened.study, space=SPACE, objective=OBJECTIVE, sampler="tpe", seed=0)
    record.begin()
    return record


def _add_random_trials(record: StudyRecord, *, num: int) -> None:
    """Fill a study with trials that have ended."""
    distributions = {name: dimension.distribution for name, dimension in SPACE.dimensions.items()}
    chooser = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(num):
        params = chooser.ask(distributions).params
        ended = create_trial(
            params=params, distributions=distributions, value=height(params), user_attrs={"values": params}
        )
        record.study.add_trial(ended)


def _outcome(record: StudyRecord, trainings: SimulatedTrainings, *, slots: int) -> Outcome:
    return Outcome(
        wall=trainings.now / MAX_STEPS,
        idle=1 - trainings.busy_seconds / (slots * trainings.now),
        num_ended=len(record.trials(TrialState.COMPLETE, TrialState.PRUNED)),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10, help="searches of every way")
    parser.add_argument("--known", type=int, nargs="+", default=[100, 300, 1000], help="trials before the measured")
    parser.add_argument("--measured", type=int, default=25, help="trials to measure the cost of")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Who trains on: successive halving without barriers (ASHA), Hyperband's brackets, the median rule; pure functions.

A trial trains up to a rung, stops with a checkpoint, and goes on from there if it is promoted; it never starts again.
"""

import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Pruner = Literal["asha", "hyperband", "median", "none"]
Scores = Mapping[int, Mapping[int, float]]
"""Trial number -> rung (step) -> score, larger is better, -inf for a diverged training."""

MIN_STARTUP = 4


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """The steps at which a trial is judged, ascending, the last the whole training; one in `eta` goes on."""

    rungs: tuple[int, ...]
    eta: int

    def after(self, rung: int) -> int:
        """Return the next rung above `rung`; 0 is before the first."""
        return next(step for step in self.rungs if step > rung)

    @property
    def expected_cost(self) -> float:
        """The expected steps of a trial as a share of the whole training, with one in `eta` promoted at each rung."""
        reached, done, cost = 1.0, 0, 0.0
        for rung in self.rungs:
            cost += reached * (rung - done)
            reached, done = reached / self.eta, rung
        return cost / self.rungs[-1]


def make_brackets(pruner: Pruner, *, max_steps: int, eta: int = 3, min_ratio: float = 0.1) -> tuple[Bracket, ...]:
    """Return the brackets of a search: a first rung at about `min_ratio` of the training, later ones `eta` times on.

    ASHA (Li et al., MLSys 2020) has one bracket, Hyperband (Li et al., JMLR 2018) one for every first rung, the
    median rule judges at the same rungs, `none` only at the end.
    """
    if not 0 < min_ratio <= 1 or eta < 2:
        raise ValueError(f"min_ratio is {min_ratio} and eta {eta}; wanted a share in (0, 1] and at least 2")
    if pruner == "none":
        return (Bracket(rungs=(max_steps,), eta=eta),)
    depth = int(math.log(1 / min_ratio, eta) + 1e-9)
    rungs = sorted({max(1, round(max_steps / eta**level)) for level in range(depth + 1)})
    starts = range(len(rungs)) if pruner == "hyperband" else (0,)
    return tuple(Bracket(rungs=tuple(rungs[start:]), eta=eta) for start in starts)


def bracket_turns(brackets: Sequence[Bracket]) -> Iterator[int]:
    """Yield the bracket of every trial, in turns that give each about the same budget, as Hyperband does."""
    shares = [1 / bracket.expected_cost for bracket in brackets]
    taken = [0] * len(brackets)
    while True:
        # The bracket that is furthest behind its share is next.
        chosen = max(range(len(brackets)), key=lambda index: shares[index] / (taken[index] + 1))
        taken[chosen] += 1
        yield chosen


def promoted(scores: Scores, *, waiting: Collection[int], bracket: Bracket) -> tuple[int, ...]:
    """Return the waiting trials that ASHA lets go on, the furthest first, then the best.

    Of n trials judged at a rung the best n // eta go on; a diverged one never does.
    """
    found: list[int] = []
    for rung in reversed(bracket.rungs[:-1]):
        judged = sorted(
            (number for number, own in scores.items() if rung in own),
            key=lambda number: (-scores[number][rung], number),
        )
        best = judged[: len(judged) // bracket.eta]
        found += [
            number
            for number in best
            if number in waiting and max(scores[number]) == rung and scores[number][rung] > -math.inf
        ]
    return tuple(found)


def beaten_by_median(number: int, *, scores: Scores, rung: int) -> bool:
    """Say whether a trial is worse at a rung than the median of the others (Golovin et al., KDD 2017)."""
    others = [own[rung] for other, own in scores.items() if other != number and rung in own]
    return len(others) >= MIN_STARTUP and scores[number][rung] < statistics.median(others)

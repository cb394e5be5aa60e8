"""Who trains on: brackets, promotions, the median rule."""

import math
import random
from itertools import islice

import pytest

from experiments.searches.rungs import Bracket, beaten_by_median, bracket_turns, make_brackets, promoted

BRACKET = Bracket(rungs=(10, 30, 90), eta=3)


def test_rungs_are_powers_of_eta_below_the_whole_training() -> None:
    (bracket,) = make_brackets("asha", max_steps=270, eta=3, min_ratio=1 / 9)
    assert bracket.rungs == (30, 90, 270)
    assert [bracket.after(rung) for rung in (0, 30, 90)] == [30, 90, 270]
    assert make_brackets("none", max_steps=270)[0].rungs == (270,)
    assert [one.rungs for one in make_brackets("hyperband", max_steps=270, min_ratio=1 / 9)] == [
        (30, 90, 270),
        (90, 270),
        (270,),
    ]


def test_a_short_training_has_no_rung_twice() -> None:
    (bracket,) = make_brackets("asha", max_steps=3, eta=3, min_ratio=0.01)
    assert bracket.rungs == (1, 3)


def test_one_in_three_goes_on_and_the_furthest_is_first() -> None:
    scores = {number: {10: float(number)} for number in range(6)}
    assert promoted(scores, waiting=set(range(6)), bracket=BRACKET) == (5, 4)
    scores |= {5: {10: 5.0, 30: 0.1}, 4: {10: 4.0, 30: 0.2}, 3: {10: 3.0, 30: 0.3}}
    assert promoted(scores, waiting=set(range(6)), bracket=BRACKET) == (3,)


def test_who_runs_or_was_promoted_is_not_promoted_again() -> None:
    scores = {number: {10: float(number)} for number in range(6)}
    assert promoted(scores, waiting={4}, bracket=BRACKET) == (4,)
    scores[5] = {10: 5.0, 30: 1.0}
    assert promoted(scores, waiting={4, 5}, bracket=BRACKET) == (4,)


def test_diverged_trials_count_as_judged_but_never_go_on() -> None:
    scores = {0: {10: -math.inf}, 1: {10: -math.inf}, 2: {10: -math.inf}}
    assert promoted(scores, waiting={0, 1, 2}, bracket=BRACKET) == ()


def test_brackets_share_the_budget_evenly() -> None:
    brackets = make_brackets("hyperband", max_steps=270, min_ratio=1 / 9)
    spent = [0.0] * len(brackets)
    for index in islice(bracket_turns(brackets), 300):
        spent[index] += brackets[index].expected_cost
    assert max(spent) / min(spent) < 1.05


def test_the_expected_cost_is_what_halving_spends() -> None:
    generator = random.Random(0)
    numbers = list(range(2700))
    final = {number: generator.random() for number in numbers}
    done, steps = numbers, 0
    for rung, before in ((10, 0), (30, 10), (90, 30)):
        steps += len(done) * (rung - before)
        done = sorted(done, key=lambda number: -final[number])[: len(done) // 3]
    assert BRACKET.expected_cost == pytest.approx(steps / (90 * len(numbers)))


def test_the_median_rule_needs_others_to_compare_with() -> None:
    scores = {number: {10: float(number)} for number in range(4)}
    assert not beaten_by_median(0, scores=scores, rung=10)
    scores[4] = {10: 4.0}
    assert beaten_by_median(0, scores=scores, rung=10)
    assert not beaten_by_median(4, scores=scores, rung=10)

"""Intervals cover what they claim to, Holm does Holm's arithmetic, and nothing degenerate turns into a number."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.say.stats import Difference, holm, paired_difference, summarise


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_covers_the_truth_in_95_of_100_cases(n: int) -> None:
    random = np.random.default_rng(0)
    trials = 2000
    covered = 0
    for values in random.normal(7.0, 2.5, size=(trials, n)):
        summary = summarise(values.tolist())
        covered += summary.low <= 7.0 <= summary.high
    # Three standard errors of a share of 0.95 over 2000 trials are 0.0146.
    assert covered / trials == pytest.approx(0.95, abs=0.0146)


def test_the_paired_test_is_wrong_in_5_of_100_cases() -> None:
    random = np.random.default_rng(1)
    trials = 2000
    wrong = 0
    for first, second in random.normal(size=(trials, 2, 3)):
        wrong += paired_difference(dict(enumerate(first)), minus=dict(enumerate(second))).p_value < 0.05
    assert wrong / trials == pytest.approx(0.05, abs=0.0146)


def test_a_summary_by_hand() -> None:
    summary = summarise([1.0, 2.0, 3.0])
    # s = 1, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653
    assert summary.mean == 2.0
    assert summary.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_the_paired_test_equals_scipys() -> None:
    first, second = [20.7, 21.3, 19.9, 20.4], [19.8, 20.9, 19.7, 19.2]
    found = paired_difference(dict(enumerate(first)), minus=dict(enumerate(second)))
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_pairs_are_made_by_seed() -> None:
    found = paired_difference({2: 5.0, 0: 3.0, 7: 99.0}, minus={0: 1.0, 2: 2.0, 1: 50.0})
    assert (found.n, found.mean) == (2, 2.5)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04; times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; never falling: 0.02, 0.03, 0.06, 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_holm_refuses_what_is_no_p_value() -> None:
    with pytest.raises(ValueError, match="leave out comparisons"):
        holm([0.1, math.nan])


def test_one_value_has_no_interval() -> None:
    summary = summarise([4.0])
    assert (summary.n, summary.mean) == (1, 4.0)
    assert math.isnan(summary.low)
    assert math.isnan(summary.high)


def test_no_value_has_no_mean() -> None:
    assert math.isnan(summarise([]).mean)
    assert math.isnan(summarise([math.nan]).mean)


def test_equal_values_have_an_interval_of_no_width() -> None:
    summary = summarise([4.0, 4.0, 4.0])
    assert (summary.low, summary.mean, summary.high) == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(("shift", "p_value"), [(0.0, 1.0), (1.0, 0.0)])
def test_equal_differences_take_the_limit_of_the_test(shift: float, p_value: float) -> None:
    second = {0: 1.0, 1: 2.0, 2: 4.0}
    assert paired_difference({seed: value + shift for seed, value in second.items()}, minus=second).p_value == p_value


def test_a_diverged_value_is_counted_and_never_averaged() -> None:
    summary = summarise([1.0, math.nan, 3.0])
    assert (summary.n, summary.num_diverged, summary.mean) == (2, 1, 2.0)
    found = paired_difference({0: 1.0, 1: math.nan, 2: 3.0}, minus={0: 0.0, 1: 0.0, 2: 1.0})
    assert (found.n, found.num_left_out, found.mean) == (2, 1, 1.5)


def test_one_pair_has_a_difference_and_no_test() -> None:
    found = paired_difference({0: 3.0}, minus={0: 1.0})
    assert isinstance(found, Difference)
    assert (found.n, found.mean) == (1, 2.0)
    assert math.isnan(found.p_value)

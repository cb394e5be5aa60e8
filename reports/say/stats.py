"""What a handful of seeds allows to say: intervals, paired differences and tests. Pure functions of numbers.

A NaN is a training that diverged. It is counted and shown, and takes part in no mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE = 0.95
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Mean of `n` finite values with its t interval; the interval is NaN below two values, the mean below one."""

    n: int
    num_diverged: int
    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean of first minus second over the seeds both have, its t interval, and the paired t test of "no difference".

    `p_value` is NaN below two pairs. `num_left_out` counts pairs in which a side diverged.
    """

    n: int
    num_left_out: int
    mean: float
    low: float
    high: float
    p_value: float


def summarise(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Summary:
    """Return the mean and the two-sided t interval of `values`."""
    everything = np.asarray(values, dtype=float)
    finite = everything[np.isfinite(everything)]
    n = int(finite.size)
    mean = float(finite.mean()) if n else math.nan
    half = math.nan
    if n >= 2:
        standard_error = float(finite.std(ddof=1)) / math.sqrt(n)
        half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * standard_error
    return Summary(n=n, num_diverged=everything.size - n, mean=mean, low=mean - half, high=mean + half)


def paired_difference(
    first: Mapping[int, float], *, minus: Mapping[int, float], confidence: float = CONFIDENCE
) -> Difference:
    """Compare two settings seed by seed; both map a seed to its value, and seeds only one of them has are left out."""
    differences = [first[seed] - minus[seed] for seed in sorted(first.keys() & minus.keys())]
    summary = summarise(differences, confidence=confidence)
    return Difference(
        n=summary.n,
        num_left_out=summary.num_diverged,
        mean=summary.mean,
        low=summary.low,
        high=summary.high,
        p_value=_p_value_of_zero_mean(differences),
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for asking several questions at once (Holm 1979), in the order given.

    The smallest of m is multiplied by m, the next by m - 1 and so on, never falling below an earlier one, at most 1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie in [0, 1], got {list(p_values)}; leave out comparisons that had no test")
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return tuple(adjusted)


def _p_value_of_zero_mean(differences: Sequence[float]) -> float:
    finite = np.asarray([value for value in differences if math.isfinite(value)])
    if finite.size < 2:
        return math.nan
    if np.ptp(finite) == 0:
        # Without spread the t statistic is 0/0 or x/0: take its limits.
        return 1.0 if finite[0] == 0 else 0.0
    n = finite.size
    t = float(finite.mean()) / (float(finite.std(ddof=1)) / math.sqrt(n))
    return float(2 * special.stdtr(n - 1, -abs(t)))

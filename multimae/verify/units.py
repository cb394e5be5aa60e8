"""Guess from depth values in which unit they are stored. Free of torch."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from types import MappingProxyType

from multimae.data.spec import DatasetSpec

CODES_PER_METRE: Mapping[str, float] = MappingProxyType(
    {
        "millimetres": 1000.0,
        "1/6553.6 m, as the reference's script for NYUv2 writes": 65536 / 10,
        "1/5000 m": 5000.0,
        "1/512 m, as Taskonomy and Omnidata": 512.0,
        "centimetres": 100.0,
        "metres": 1.0,
    }
)
PLAUSIBLE_MM = (200.0, 20_000.0)
MOST_OFF = 2.0
"""How many times the data set's mean depth, or a part of it, the median of whole images can be."""


def implausible_depth(medians: Sequence[float], *, described: DatasetSpec) -> str | None:
    """Return what speaks against millimetres, None if nothing does; depth without a unit (mean 0) is never judged."""
    if not medians or described.depth_mean_mm <= 0:
        return None
    found, mean = median(medians), described.depth_mean_mm
    lowest, highest = PLAUSIBLE_MM
    if lowest <= found <= highest and 1 / MOST_OFF <= found / mean <= MOST_OFF:
        return None
    wanted = f"{described.name} has a mean of {mean:.0f} mm"
    return f"the median over {len(medians)} maps is {found:.0f}, {wanted}; the unit may be {_likely(found, mean=mean)}"


def _likely(found: float, *, mean: float) -> str:
    return min(CODES_PER_METRE, key=lambda unit: abs(math.log(found / CODES_PER_METRE[unit] * 1000 / mean)))

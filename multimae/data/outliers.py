"""Codes of depth that are far from all others and repeat: sensors write them for "no reading". Free of torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimae.data.spec import MAX_CODE

FAR_HIGH, FAR_LOW = 1.5, 4.0
"""How many times as large, or as small, as the rest a code must be, but for a thousandth of the rest."""
REST = 0.999
NEIGHBOURHOOD = 0.1
FEWER = 10
"""By this factor its neighbours within a tenth must occur less often: surfaces have depths around theirs, too."""
MOST_ALIKE = 3
MIN_PIXELS = 10
MIN_SHARE_HIGH, MIN_SHARE_LOW = 1e-6, 1e-4
"""Of the pixels with a depth. One in a million that says 65 m moves an RMSE by centimetres; a small one counts less."""


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A code in `share` of the pixels that have a depth, in `num_maps` maps; the rest ends at `rest`."""

    code: int
    share: float
    num_maps: int
    rest: int


def outlying_codes(pixels: NDArray[np.int64], *, maps: NDArray[np.int64]) -> tuple[Outlier, ...]:
    """Return the outliers among pixels and maps counted by code, 0 not among them.

    A code must occur in two maps, but for 65535, which is what is left where nothing was written.
    """
    rest = np.array(pixels)
    rest[0] = 0
    total = int(rest.sum())
    repeated = (rest >= MIN_PIXELS) & ((maps >= 2) | (np.arange(len(rest)) == MAX_CODE))
    candidates = [int(code) for code in np.flatnonzero(repeated) if _stands_alone(int(code), pixels=rest)]
    found: dict[int, Outlier] = {}
    # Several such codes hide each other until one of them is taken out.
    while new := [one for code in candidates if code not in found and (one := _judged(code, rest, maps, total=total))]:
        found |= {one.code: one for one in new}
        rest[[one.code for one in new]] = 0
    return tuple(found[code] for code in sorted(found))


def _stands_alone(code: int, *, pixels: NDArray[np.int64]) -> bool:
    around = pixels[int(code * (1 - NEIGHBOURHOOD)) : int(code * (1 + NEIGHBOURHOOD)) + 1]
    alike = around * FEWER >= pixels[code]
    return bool(alike.sum() <= MOST_ALIKE and around[~alike].sum() <= pixels[code])


def _judged(code: int, rest: NDArray[np.int64], maps: NDArray[np.int64], *, total: int) -> Outlier | None:
    share = int(rest[code]) / total
    below, above = rest[:code], rest[code + 1 :]
    end = None
    if below.any() and share >= MIN_SHARE_HIGH and code >= FAR_HIGH * (highest := _quantile(below, REST)):
        end = highest
    elif above.any() and share >= MIN_SHARE_LOW and code * FAR_LOW <= (lowest := code + 1 + _quantile(above, 1 - REST)):
        end = lowest
    return None if end is None else Outlier(code=code, share=share, num_maps=int(maps[code]), rest=end)


def _quantile(counts: NDArray[np.int64], share: float) -> int:
    return int(np.searchsorted(counts.cumsum(), share * counts.sum()))

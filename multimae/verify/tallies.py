"""How often each code occurs in the maps of a modality, which single maps cannot tell. Free of torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from multimae.data.decode import Array

Place = tuple[str, str]
"""A split and the folder of a modality."""
UsedPalette = tuple[bytes, bytes]
"""Red, green and blue of every code, none where there is no palette, and the codes that a file uses of it."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Count pixels by code and, of each code, the maps that hold it; 0 is no reading and no label.

    `palettes` names the files by palette and by the stored codes that they use.
    """

    pixels: NDArray[np.int64]
    maps: NDArray[np.int64]
    num_maps: int
    palettes: Mapping[UsedPalette, Sequence[str]] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        palettes = {key: list(names) for key, names in self.palettes.items()}
        for key, names in other.palettes.items():
            palettes.setdefault(key, []).extend(names)
        return Tally(
            pixels=self.pixels + other.pixels,
            maps=self.maps + other.maps,
            num_maps=self.num_maps + other.num_maps,
            palettes=palettes,
        )


def tally_of(array: Array) -> Tally:
    """Count the codes of one map."""
    pixels = np.bincount(array.ravel(), minlength=int(np.iinfo(array.dtype).max) + 1)
    return Tally(pixels=pixels, maps=(pixels > 0).astype(np.int64), num_maps=1)


def summed(tallies: Iterable[tuple[Place, Tally]]) -> dict[Place, Tally]:
    """Add up what was counted of the same split and folder."""
    sums: dict[Place, Tally] = {}
    for place, tally in tallies:
        sums[place] = sums[place] + tally if place in sums else tally
    return sums

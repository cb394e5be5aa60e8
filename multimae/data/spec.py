"""What is known about a data set before any of its files is opened. Free of torch; one module per data set."""

import colorsys
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Literal

from multimae.modalities import MODALITIES

RGB = tuple[int, int, int]
CropBox = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Describe one data set; `multimae/data/<name>.py` holds it as `SPEC`.

    `classes` leave out "unlabelled". Class `classes[i]` is trained as i and stored as i + `first_label`: with 1, 0 on
    disk is unlabelled; with 0, as in pseudo labels of the reference, 255 is.
    `depth_mean_mm` and `depth_std_mm` are taken over the valid pixels of the training depth.
    `eval_crop` is (top, bottom, left, right) at original resolution, ends excluded, of the standard depth protocol.
    `how_to_get` is shown to a user whose data is not there: say where it comes from and which layout is expected.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    depth_mean_mm: float
    depth_std_mm: float
    max_depth_m: float
    modalities: tuple[str, ...]
    licence: str
    how_to_get: str
    eval_crop: CropBox | None = None
    first_label: Literal[0, 1] = 1

    def __post_init__(self) -> None:
        if len(self.palette) != len(self.classes):
            raise ValueError(
                f"data set {self.name!r} has {len(self.classes)} classes but {len(self.palette)} palette colours; "
                "give one RGB triple per class, without unlabelled"
            )
        if unknown := sorted(set(self.modalities) - MODALITIES.keys()):
            raise ValueError(f"data set {self.name!r} names unknown modalities {unknown}; known: {sorted(MODALITIES)}")

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def spec(name: str) -> DatasetSpec:
    """Return the SPEC of `multimae.data.<name>`."""
    known = known_names()
    if name not in known:
        nearest = get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        raise ValueError(f"unknown data set {name!r}{hint}; known: {', '.join(known)}")
    found = import_module(f"multimae.data.{name}").SPEC
    if not isinstance(found, DatasetSpec):
        raise TypeError(f"multimae.data.{name}.SPEC is a {type(found).__name__}, wanted a DatasetSpec")
    return found


def known_names() -> tuple[str, ...]:
    """List the modules of this package that define a SPEC; reads their text, as importing some would load torch."""
    folders = import_module("multimae.data").__path__
    files = (file for folder in folders for file in Path(folder).glob("*.py"))
    return tuple(sorted(file.stem for file in files if re.search(r"^SPEC\b", file.read_text("utf-8"), re.MULTILINE)))


def distinct_palette(num_classes: int) -> tuple[RGB, ...]:
    """Return `num_classes` colours for a data set that has no palette of its own.

    Hues advance by the golden angle, so that neighbours in the class list differ most; lightness cycles through three
    levels, so that hues that come close again stay apart.
    """
    golden = (5**0.5 - 1) / 2
    colours = (
        colorsys.hls_to_rgb(index * golden % 1.0, (0.42, 0.58, 0.74)[index % 3], 0.65) for index in range(num_classes)
    )
    return tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colours)

"""What is known about a data set before any of its files is opened. Free of torch; one module per data set."""

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from multimae.record.nearest import unknown
from multimae.tables.modalities import MODALITIES

RGB = tuple[int, int, int]
CropBox = tuple[int, int, int, int]
MAX_CODE = 65535

HOW_TO_ARRANGE = """\
Arrange it as ROOT/{train,test}/MODALITY/all/NAME.png, one file per image and modality, and pass ROOT (or the folder
that holds it) as --data-root:
  rgb         8-bit colour (.jpg works too)
  depth       16-bit, millimetres, 0 = invalid (DatasetSpec(invalid_depth=(65535,)): 65535, too)
  semseg      8-bit, 0 = unlabelled, classes from 1 (DatasetSpec(first_label=0): classes from 0, 255 = unlabelled)
  mask_valid  8-bit, 255 = valid depth (optional)
A folder val beside train and test holds images to judge trainings by; without one, recipe.val_ratio holds some out."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Describe one data set; `multimae/data/sets/<name>.py` holds it as `SPEC`.

    `classes` leave out "unlabelled"; there are none where nothing is segmented. Class `classes[i]` is trained as i and
    stored as i + `first_label`: with 1, 0 on disk is unlabelled; with 0, as in pseudo labels of the reference, 255 is.
    `label_map` is for files of other, finer classes: stored code c means class `label_map[c]`, counted from 1, or 0,
    unlabelled.
    `depth_mean_mm` and `depth_std_mm` are taken over the valid pixels of the training depth; only tasks that predict
    depth in metres use them, all others standardise each map.
    `invalid_depth` are codes that mean "no reading" in its depth beside 0, such as 65535; they are read as 0.
    `eval_crop` is (top, bottom, left, right) at original resolution, ends excluded, of the standard depth protocol.
    `folders` are the names its folder goes by, first the one we give it; none is its own name.
    `how_to_get` is shown to a user whose data is not there: say where it comes from and which layout is expected.
    Without a `palette` classes get colours that are easily told apart.
    """

    name: str
    title: str
    classes: tuple[str, ...] = ()
    palette: tuple[RGB, ...] = ()
    depth_mean_mm: float = 0.0
    depth_std_mm: float = 1.0
    max_depth_m: float = 65.535
    invalid_depth: tuple[int, ...] = ()
    modalities: tuple[str, ...]
    licence: str = "not stated"
    how_to_get: str = HOW_TO_ARRANGE
    eval_crop: CropBox | None = None
    first_label: Literal[0, 1] = 1
    label_map: tuple[int, ...] = ()
    folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.palette:
            object.__setattr__(self, "palette", distinct_palette(len(self.classes)))
        if len(self.palette) != len(self.classes):
            raise ValueError(
                f"data set {self.name!r} has {len(self.classes)} classes but {len(self.palette)} palette colours; "
                "give one RGB triple per class, without unlabelled"
            )
        if unknown := sorted(set(self.modalities) - MODALITIES.keys()):
            raise ValueError(f"data set {self.name!r} names unknown modalities {unknown}; known: {sorted(MODALITIES)}")
        if wrong := sorted({code for code in self.label_map if not 0 <= code <= len(self.classes)}):
            raise ValueError(
                f"data set {self.name!r} maps labels to {wrong}, wanted 0 (unlabelled) or a class, 1 to "
                f"{len(self.classes)}"
            )

        if beyond := [code for code in self.invalid_depth if not 0 < code <= MAX_CODE]:
            raise ValueError(
                f"data set {self.name!r} has invalid_depth {beyond}, wanted codes from 1 to {MAX_CODE}, as stored; 0 "
                "is always invalid"
            )

    @property
    def folder_names(self) -> tuple[str, ...]:
        return self.folders or (self.name,)

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def spec(described: str | Mapping[str, Any]) -> DatasetSpec:
    """Return the SPEC of `multimae.data.sets.<name>`, or the data set that a mapping of all the facts describes.

    An unknown name raises ValueError, which lists the nearest ones.
    """
    if not isinstance(described, str):
        return DatasetSpec(**described)
    name = described
    known = known_names()
    if name not in known:
        raise ValueError(unknown("data set", name, known))
    found = import_module(f"multimae.data.sets.{name}").SPEC
    if not isinstance(found, DatasetSpec):
        raise TypeError(f"multimae.data.sets.{name}.SPEC is a {type(found).__name__}, wanted a DatasetSpec")
    return found


def known_names() -> tuple[str, ...]:
    """List the modules of this package that define a SPEC; reads their text, as importing some would load torch."""
    folders = import_module("multimae.data.sets").__path__
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

"""What a user says about a file of weights that the file does not say itself; free of torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from multimae.record.nearest import unknown
from multimae.tables.normalisations import NORMALISATIONS, Channels, name_of

Which = Literal["auto", "ema", "model"]
OWN_PIXELS = "imagenet"
_WHICH: tuple[Which, ...] = ("auto", "ema", "model")
# What hubs call a model's only file: the config.json beside it is that model's.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Say which of a file's weights are read, and for which pixels they were trained.

    `weights`: "model" are those that were trained, "ema" their average, "auto" the average where the file holds one.
    `pixels`: a name of `NORMALISATIONS`; "auto" asks timm's `config.json` beside a hub's file, else it is "imagenet".
    `prefix`: what the names of the weights that are meant begin with; it is removed.
    """

    weights: Which = "auto"
    pixels: str = "auto"
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.weights not in _WHICH:
            raise ValueError(unknown("choice of weights", self.weights, _WHICH))
        if self.pixels not in ("auto", *NORMALISATIONS):
            raise ValueError(unknown("normalisation of pixels", self.pixels, ("auto", *NORMALISATIONS)))

    @property
    def words(self) -> tuple[str, ...]:
        """What `FILE#WORD` would say of a file that is read so; nothing for one that is read as usual."""
        named = () if self.weights == "auto" else (self.weights,)
        return named if self.pixels in ("auto", OWN_PIXELS) else (*named, self.pixels)

    def of(self, path: Path) -> "Reading":
        """Return the reading of one file, with the pixels that are written beside it."""
        return replace(self, pixels=_pixels_beside(path) or OWN_PIXELS) if self.pixels == "auto" else self


def split_words(text: str) -> tuple[str, Reading]:
    """Part `FILE#ema#half` into the file and how it is read; the sign may stand in the name of a file that is there."""
    parts = text.split("#")
    places = ["#".join(parts[:count]) for count in range(len(parts), 0, -1)]
    place = next((place for place in places if Path(place).is_file()), parts[0])
    return place, _spoken(text.removeprefix(place).split("#")[1:])


def _spoken(words: Sequence[str]) -> Reading:
    said: dict[str, Any] = {}
    for word in words:
        if word not in (*_WHICH[1:], *NORMALISATIONS):
            raise ValueError(unknown("way to read a file of weights", word, (*_WHICH[1:], *NORMALISATIONS)))
        about = "weights" if word in _WHICH else "pixels"
        if about in said:
            raise ValueError(f"#{said[about]} and #{word} of one file contradict each other")
        said[about] = word
    return Reading(**said)


def _pixels_beside(path: Path) -> str | None:
    """Return the normalisation that timm's `config.json` beside a hub's file gives."""
    beside = path.with_name("config.json")
    if path.name not in _HUB_FILES or not beside.is_file():
        return None
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    facts = config.get("pretrained_cfg") if isinstance(config, dict) else None
    if not isinstance(facts, dict) or "mean" not in facts or "std" not in facts:
        return None
    mean, std = cast(Channels, tuple(facts["mean"])), cast(Channels, tuple(facts["std"]))
    known = name_of(mean=mean, std=std) if len(mean) == len(std) == 3 else None
    if known is None:
        raise ValueError(
            f"{beside} says that pixels are normalised by mean {list(mean)} and std {list(std)}, which is none of "
            f"{', '.join(NORMALISATIONS)}: choose one of these by pixels= or FILE#NAME if it is near enough"
        )
    return known

"""How the numbers of a table came about beyond their protocol: which weights, shown how, on how many images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reports.read.results import CONSTANT, EARLIER
from reports.say import words

if TYPE_CHECKING:
    import pandas as pd

_SELECTIONS: Mapping[str, str] = MappingProxyType(
    {"validation": "the best on held-out validation images", "test": "selected on the test set, which flatters them"}
)


@dataclass(frozen=True, kw_only=True)
class TaskScoring:
    """What a task's runs did under one protocol; several values where they differ, none while nothing has finished.

    `num_earlier` counts the runs whose scores come from earlier code than the others would have.
    """

    protocol: str
    num_images: tuple[int, ...] = ()
    selections: tuple[str, ...] = ()
    inferences: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()
    num_earlier: int = 0

    @property
    def remark(self) -> str:
        """Say what nobody may overlook, to follow the protocol's name at the head of its columns; mostly nothing."""
        if "test" not in self.selections:
            return ""
        return ", selected on the test set" if len(self.selections) == 1 else ", partly selected on the test set"

    @property
    def ways(self) -> str:
        """Say how images were shown to the model where that is not once and whole; else nothing."""
        chosen = (
            ("slide", self.inferences, "by a sliding window"),
            ("average", self.flips, "averaged over the image and its mirror image"),
        )
        told = [name if set(found) == {way} else f"partly {name}" for way, found, name in chosen if way in found]
        return f"predictions of the {self.protocol} protocol {' and '.join(told)}" if told else ""


def scorings_of(frame: "pd.DataFrame", *, task: str, protocols: Sequence[str]) -> tuple[TaskScoring, ...]:
    """Collect how `task` was scored under each protocol, the constant predictor left out."""
    scored = frame[(frame["task"] == task) & (frame["checkpoint"] != CONSTANT)]

    def found(protocol: str, name: str) -> tuple[Any, ...]:
        return tuple(sorted(scored.loc[scored["protocol"] == protocol, name].dropna().unique().tolist()))

    return tuple(
        TaskScoring(
            protocol=protocol,
            num_images=found(protocol, "n"),
            selections=found(protocol, "selection"),
            inferences=found(protocol, "inference"),
            flips=found(protocol, "flip"),
            num_earlier=scored.loc[
                (scored["protocol"] == protocol) & (scored["scored_by"] == EARLIER), "run"
            ].nunique(),
        )
        for protocol in protocols
    )


def scoring_notes(scorings: Sequence[TaskScoring]) -> tuple[str, ...]:
    """Say in footnotes on how many images was scored, by code of when, and which weights where not the last ones."""
    return tuple(note for note in (_images(scorings), _weights(scorings), _earlier(scorings)) if note)


def _images(scorings: Sequence[TaskScoring]) -> str:
    counts = {
        scoring.protocol: " or ".join(f"{number:,}" for number in scoring.num_images)
        for scoring in scorings
        if scoring.num_images
    }
    if len(set(counts.values())) > 1:
        return "test images: " + ", ".join(f"{count} ({protocol})" for protocol, count in counts.items())
    return f"{next(iter(counts.values()))} test images" if counts else ""


def _weights(scorings: Sequence[TaskScoring]) -> str:
    chosen = dict.fromkeys(selection for scoring in scorings for selection in scoring.selections)
    told = [_SELECTIONS.get(selection, "the last ones") for selection in chosen]
    return f"weights: {words.listed(told)}" if set(chosen) - {"last"} else ""


def _earlier(scorings: Sequence[TaskScoring]) -> str:
    number = max((scoring.num_earlier for scoring in scorings), default=0)
    runs = "1 run has" if number == 1 else f"{number} runs have"
    return f"{runs} scores of earlier code, which may count otherwise: see Runs" if number else ""

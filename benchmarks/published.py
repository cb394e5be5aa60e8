"""What others have published for a task: read from published.csv, which says where each number stands."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchmarks import ade20k, hypersim, imagenet, nyuv2
from benchmarks.task import Protocol, Task

TABLE = Path(__file__).with_name("published.csv")
REPRODUCED = (
    imagenet.CLASSIFICATION,
    imagenet.LINEAR,
    ade20k.SEMSEG,
    hypersim.SEMSEG,
    nyuv2.SEMSEG,
    nyuv2.DEPTH,
)
"""The tasks of the table; what was trained for its numbers is their `paper` recipe."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published number, in the metric's unit.

    `checkpoint` is the name of the weights in the catalogue, where those are published too. `num_images` says how many
    test images were scored and `selection` how the weights were chosen; 0 and empty: the source does not say. `note` is
    what a reader should know about how it was measured.
    """

    task: str
    inputs: tuple[str, ...]
    method: str
    checkpoint: str
    size: str
    metric: str
    value: float
    protocol: Protocol
    num_images: int
    selection: Literal["", "last", "validation", "test"]
    source: str
    note: str

    @property
    def dataset(self) -> str:
        """The data set it was measured on, with which a task's name begins."""
        return self.task.partition("-")[0]

    @property
    def reproduced(self) -> Task:
        """Our task that measures the same."""
        return next(task for task in REPRODUCED if task.name == self.task)


@cache
def all_published() -> tuple[Published, ...]:
    """Return every row of published.csv."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(Published(**{**row, **_typed(row)}) for row in csv.DictReader(file))


def published(task: str, *, inputs: tuple[str, ...]) -> tuple[Published, ...]:
    """Return what is published for a task from these inputs, in the table's order; nothing if there is nothing."""
    return tuple(row for row in all_published() if row.task == task and set(row.inputs) == set(inputs))


def _typed(row: dict[str, str]) -> dict[str, Any]:
    return {
        "inputs": tuple(row["inputs"].split("+")),
        "value": float(row["value"]),
        "num_images": int(row["num_images"]),
    }

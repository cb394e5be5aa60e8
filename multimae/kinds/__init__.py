"""The half of each kind of task that jobs need, a file of this folder with `KIND`, found by the file's name.

The other half, which the driver renders configs by, is the module of the same name in `benchmarks.kinds`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from multimae.evaluation.scorer import Scorer
from multimae.named import module_named
from multimae.record.result import SamplePictures
from multimae.record.spool import Spool

FOLDER = Path(__file__).parent


@runtime_checkable
class DrawPredictions(Protocol):
    """Draw what a model makes of a few test images into `artifacts`; return each image's name and pictures."""

    def __call__(self, model: Any, job: Any, *, artifacts: Path, spool: Spool) -> list[SamplePictures]: ...


def draw_nothing(model: Any, job: Any, *, artifacts: Path, spool: Spool) -> list[SamplePictures]:
    """Draw no prediction, where one is no picture."""
    return []


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """How runs of one kind are scored and shown; its module imports what its configs name, pipelines and metric.

    `scorer` returns what scores a run, given the modality it predicts, empty where it predicts no map.
    """

    scorer: Callable[[str], Scorer]
    draw: DrawPredictions = draw_nothing


def kind(name: str) -> JobKind:
    """Return the kind of that name; an unknown one is an error that lists the known ones, nearest first."""
    found: JobKind = module_named(name, package=__name__, folder=FOLDER, what="kind of task").KIND
    return found

"""What things are called on the page and in the tables, and how numbers are written."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from multimae.data.spec import spec
from multimae.metrics import Metric

CHECKPOINTS: Mapping[str, str] = MappingProxyType(
    {"pretrain": "pre-trained", "scratch": "from scratch", "constant": "constant predictor"}
)
PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "standard": "the field's way: original resolution, all test images, the data set's usual crop",
        "paper": "the evaluation of the MultiMAE reference code",
        "masked": "the pre-training loss on masked patches of the test images",
    }
)
_TASKS: Mapping[str, str] = MappingProxyType(
    {
        "semseg": "Semantic segmentation",
        "depth": "Depth estimation",
        "normal": "Surface normals",
        "cls": "Classification",
        "pretrain": "Pre-training",
    }
)
_RENDERED: Mapping[str, str] = MappingProxyType(
    {"rooms": "Rendered rooms, not photographs: never to be compared with published numbers."}
)
_DECIMALS: Mapping[str, int] = MappingProxyType({"%": 1, "m": 3, "": 3})


def checkpoint_label(checkpoint: str) -> str:
    return CHECKPOINTS.get(checkpoint, checkpoint)


def task_label(task: str) -> str:
    """Name a task for a heading; the data set is named beside it, since `nyuv2-semseg` may have been run on rooms.

    Whatever else a task's name says is said in brackets: `nyuv2-semseg-linear` is "Semantic segmentation (linear)".
    """
    parts = task.split("-")
    kind = next((part for part in parts if part in _TASKS), None)
    if kind is None:
        return task
    rest = [part for part in parts[1:] if part != kind]
    return f"{_TASKS[kind]} ({' '.join(rest)})" if rest else _TASKS[kind]


def dataset_label(dataset: str) -> str:
    """Return the data set's title, or its name if it is nobody's we know."""
    try:
        title = spec(dataset).title
    except ValueError:
        title = dataset
    return f"{title} (rendered)" if dataset in _RENDERED and "render" not in title.lower() else title


def dataset_caveat(dataset: str) -> str:
    """Say what every table of this data set must carry; empty for real data."""
    return _RENDERED.get(dataset, "")


def metric_label(metric: Metric) -> str:
    """Write name, unit and direction: `mIoU (%) ↑`."""
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}"


def number(value: float, *, metric: Metric) -> str:
    return f"{value:.{_DECIMALS[metric.unit]}f}".replace("-", "−") if math.isfinite(value) else "—"


def signed(value: float, *, metric: Metric) -> str:
    return f"{value:+.{_DECIMALS[metric.unit]}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Write a span as people say it: `42 s`, `12 min`, `3 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(number_of: int, noun: str) -> str:
    """Write `1 run`, `3 runs`."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"

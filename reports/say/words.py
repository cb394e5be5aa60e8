"""What things are called on the page and in the tables, and how numbers are written."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from multimae.data.spec import spec
from multimae.tables.metrics import Metric

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
        "linear": "Classification by a linear probe",
        "knn": "Classification by nearest neighbours",
        "pretrain": "Pre-training",
        "principal_curvature": "Principal curvature",
        "depth_zbuffer": "Z-buffer depth",
        "edge_texture": "Texture edges",
        "edge_occlusion": "Occlusion edges",
        "keypoints2d": "2D keypoints",
        "keypoints3d": "3D keypoints",
        "reshading": "Reshading",
    }
)
_RENDERED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("rooms", "rooms_13"), "Rendered rooms, not photographs: never to be compared with published numbers."
    )
)
_DECIMALS: Mapping[str, int] = MappingProxyType({"%": 1, "m": 3, "": 3})
# Where its unit's decimals would not tell models apart: targets in [0, 1] are missed by about 0.02.
_DECIMALS_OF: Mapping[str, int] = MappingProxyType({"l1": 4})
SIZES: Mapping[str, str] = MappingProxyType({"small": "ViT-S", "base": "ViT-B", "large": "ViT-L"})


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


def task_on(task: str, *, dataset: str) -> str:
    """Name a task and what it was run on; where that is not the task's own data set, the task's full name is said."""
    label = task_label(task)
    if label != task and task.partition("-")[0] != dataset:
        label = f"{label.partition(' (')[0]} ({task})"
    return f"{label} on {dataset_label(dataset)}"


def dataset_label(dataset: str) -> str:
    """Return the data set's title, or its name if it is nobody's we know."""
    try:
        title = spec(dataset).title
    except ValueError:
        title = dataset
    return f"{title} (rendered)" if dataset in _RENDERED and "render" not in title.lower() else title


def dataset_caveat(dataset: str, *, folder: str = "") -> str:
    """Say what every table of this data set must carry; empty for real data, read from a folder of its own name.

    Files in its layout but in another folder may be its own or a user's: that cannot be told here.
    """
    try:
        known = spec(dataset).folder_names
    except ValueError:
        known = (folder,)
    if dataset in _RENDERED or not folder or folder.lower() in known:
        return _RENDERED.get(dataset, "")
    return f"Files in the layout of {dataset_label(dataset)} were read from a folder called {folder}."


def datasets_label(datasets: Iterable[str]) -> str:
    """Name several data sets in a row."""
    return listed([dataset_label(name) for name in datasets])


def size_label(size: str) -> str:
    """Name a size as papers do, where they do."""
    return SIZES.get(size, size)


def metric_label(metric: Metric) -> str:
    """Write name, unit and direction: `mIoU (%) ↑`."""
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}"


def number(value: float, *, metric: Metric) -> str:
    return f"{value:.{_decimals(metric)}f}".replace("-", "−") if math.isfinite(value) else "—"


def signed(value: float, *, metric: Metric) -> str:
    return f"{value:+.{_decimals(metric)}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Write a span as people say it: `42 s`, `12 min`, `3 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(number_of: int, noun: str) -> str:
    """Write `1 run`, `3 runs`."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def images(counts: Mapping[str, Any]) -> str:
    """Write how many images there are to train on and to test on: `1,281,167 + 50,000`."""
    return f"{counts['num_train']:,} + {counts['num_test']:,}" if counts else "not counted"


def no_reading(facts: Mapping[str, Any]) -> str:
    """Say which codes of a data set's depth count as no reading, where it is not 0 alone; else nothing."""
    codes = facts.get("invalid_depth", ())
    return f"depth: {listed(['0', *map(str, codes)])} count as no reading" if codes else ""


def listed(parts: Sequence[str]) -> str:
    """Write `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _decimals(metric: Metric) -> int:
    return _DECIMALS_OF.get(metric.name, _DECIMALS[metric.unit])

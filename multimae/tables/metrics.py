"""What each reported number means: unit, direction and definition. Free of torch; `evaluation/` computes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from multimae.tables.modalities import MODALITIES


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Describe one metric; `unit` is `%`, `m` (metres) or empty for a pure number."""

    name: str
    label: str
    unit: Literal["%", "m", ""]
    higher_is_better: bool
    definition: str


_ABBREVIATIONS = {"mse": "MSE", "l1": "L1", "cross_entropy": "CE"}
_LOSSES = {"mse": "mean squared error", "l1": "mean absolute error", "cross_entropy": "cross-entropy"}

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="miou",
                label="mIoU",
                unit="%",
                higher_is_better=True,
                definition="mean over classes of intersection / union, classes absent from both left out",
            ),
            Metric(
                name="macc",
                label="mAcc",
                unit="%",
                higher_is_better=True,
                definition="mean over classes of the share of a class's pixels found",
            ),
            Metric(
                name="aacc", label="aAcc", unit="%", higher_is_better=True, definition="share of labelled pixels found"
            ),
            Metric(
                name="delta1",
                label="δ1",
                unit="%",
                higher_is_better=True,
                definition="share of pixels with max(p/t, t/p) < 1.25",
            ),
            Metric(
                name="delta2",
                label="δ2",
                unit="%",
                higher_is_better=True,
                definition="share of pixels with max(p/t, t/p) < 1.25^2",
            ),
            Metric(
                name="delta3",
                label="δ3",
                unit="%",
                higher_is_better=True,
                definition="share of pixels with max(p/t, t/p) < 1.25^3",
            ),
            Metric(name="rel", label="AbsRel", unit="", higher_is_better=False, definition="mean |p - t| / t"),
            Metric(name="srel", label="SqRel", unit="m", higher_is_better=False, definition="mean (p - t)^2 / t"),
            Metric(
                name="rmse", label="RMSE", unit="m", higher_is_better=False, definition="root of the mean squared error"
            ),
            Metric(name="log10", label="log10", unit="", higher_is_better=False, definition="mean |log10 p - log10 t|"),
            Metric(
                name="rmse_log",
                label="RMSE log",
                unit="",
                higher_is_better=False,
                definition="root of the mean squared difference of natural logarithms "
                "(the reference prints it under the name log10)",
            ),
            Metric(
                name="l1",
                label="L1",
                unit="",
                higher_is_better=False,
                definition="mean absolute error of a target in [0, 1], over valid pixels and channels",
            ),
            Metric(
                name="top1",
                label="top-1",
                unit="%",
                higher_is_better=True,
                definition="share of samples whose class is the most likely one predicted",
            ),
            Metric(
                name="top5",
                label="top-5",
                unit="%",
                higher_is_better=True,
                definition="share of samples whose class is among the five most likely predicted",
            ),
            Metric(
                name="loss_rgb",
                label="masked MSE, RGB",
                unit="",
                higher_is_better=False,
                definition="mean squared error of ImageNet-normalised RGB on masked patches",
            ),
            Metric(
                name="loss_norm_rgb",
                label="masked MSE, norm. RGB",
                unit="",
                higher_is_better=False,
                definition="mean squared error of per-patch normalised RGB on masked patches",
            ),
            Metric(
                name="loss_depth",
                label="masked L1, depth",
                unit="",
                higher_is_better=False,
                definition="mean absolute error of standardised depth on masked patches",
            ),
            Metric(
                name="loss_semseg",
                label="masked CE, semseg",
                unit="",
                higher_is_better=False,
                definition="cross-entropy of semantic classes on masked patches",
            ),
            Metric(
                name="loss_normal",
                label="masked L1, normals",
                unit="",
                higher_is_better=False,
                definition="mean absolute error of surface normals on masked patches",
            ),
            *(
                Metric(
                    name=f"loss_{name}",
                    label=f"masked {_ABBREVIATIONS[facts.loss]}, {name}",
                    unit="",
                    higher_is_better=False,
                    definition=f"{_LOSSES[facts.loss]} of {name} on masked patches",
                )
                for name, facts in MODALITIES.items()
                if name not in ("rgb", "depth", "semseg", "normal")
            ),
        )
    }
)
"""Every metric by name: its label, unit, direction and definition."""

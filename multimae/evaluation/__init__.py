"""Score predictions as the reference does (`paper`) and as the field does (`standard`); names are in `metrics.py`."""

from multimae.evaluation.classification import ClassificationMetric
from multimae.evaluation.constants import (
    ConstantPredictor,
    class_counts,
    median_depth_mm,
    median_targets,
    most_frequent_class,
)
from multimae.evaluation.depth import DepthMetric, paper_depth_scores, standard_depth_scores
from multimae.evaluation.regression import RegressionMetric
from multimae.evaluation.segmentation import SegmentationMetric, confusion

__all__ = [
    "ClassificationMetric",
    "ConstantPredictor",
    "DepthMetric",
    "RegressionMetric",
    "SegmentationMetric",
    "class_counts",
    "confusion",
    "median_depth_mm",
    "median_targets",
    "most_frequent_class",
    "paper_depth_scores",
    "standard_depth_scores",
]

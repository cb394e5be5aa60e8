"""Semantic segmentation in a job: the confusion matrix, the most frequent class, maps of classes."""

from functools import partial
from typing import Any

import multimae.data.pipelines.semseg  # noqa: F401  # registers what configs name
from multimae.evaluation.constants import training_images
from multimae.evaluation.scorer import MetricScorer
from multimae.evaluation.segmentation import most_frequent_class
from multimae.kinds import JobKind
from multimae.pictures.predictions import save_predictions
from multimae.pictures.segmentation import draw_classes


def _best_constant(item: Any) -> float:
    return float(most_frequent_class(training_images(item, modalities=["semseg"])))


KIND = JobKind(
    scorer=partial(MetricScorer, best_constant=_best_constant),
    draw=partial(save_predictions, draw=draw_classes),
)

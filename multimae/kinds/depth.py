"""Depth estimation in a job: its errors, the median depth, maps of depth."""

from functools import partial
from typing import Any

import multimae.data.pipelines.depth  # noqa: F401  # registers what configs name
from multimae.evaluation.constants import training_images
from multimae.evaluation.depth import median_depth_mm
from multimae.evaluation.scorer import MetricScorer
from multimae.kinds import JobKind
from multimae.pictures.depth import draw_depth
from multimae.pictures.predictions import save_predictions


def _best_constant(item: Any) -> float:
    return median_depth_mm(training_images(item, modalities=["depth"]))


KIND = JobKind(
    scorer=partial(MetricScorer, best_constant=_best_constant),
    draw=partial(save_predictions, draw=draw_depth),
)

"""Regression of a domain in a job: the mean absolute error, each channel's median, maps of the domain."""

from functools import partial
from typing import Any

from torch import Tensor

import multimae.data.pipelines.regression  # noqa: F401  # registers what configs name
from multimae.evaluation.constants import training_images
from multimae.evaluation.regression import median_targets
from multimae.evaluation.scorer import MetricScorer
from multimae.kinds import JobKind
from multimae.pictures.domains import draw_domain
from multimae.pictures.predictions import save_predictions


def _best_constant(item: Any) -> Tensor:
    # What is scored, the pipeline makes of the files.
    return median_targets(training_images(item))


KIND = JobKind(
    scorer=partial(MetricScorer, best_constant=_best_constant),
    draw=partial(save_predictions, draw=draw_domain),
)

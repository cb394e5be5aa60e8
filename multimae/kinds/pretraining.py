"""Pre-training in a job: scored by its masked losses, shown by what it makes of hidden patches of all sorts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import multimae.data.pipelines.pretraining  # noqa: F401  # registers what configs name
from multimae.evaluation.reconstruction import of_all_processes, score_reconstruction
from multimae.evaluation.scorer import Scorer, Scores
from multimae.evaluation.scoring import Batch
from multimae.kinds import JobKind
from multimae.pictures.exploration import save_exploration
from multimae.pictures.predictions import save_predictions
from multimae.pictures.reconstruction import draw_reconstructions
from multimae.record.result import SamplePictures
from multimae.record.spool import Spool


def _scorer(target: str) -> Scorer:
    return _score


def _score(model: Any, batches: Iterable[Batch], *, item: Any, num_samples: int) -> Scores:
    return score_reconstruction(model, batches, gather=of_all_processes)


def _draw(model: Any, job: Any, *, artifacts: Path, spool: Spool) -> list[SamplePictures]:
    save_exploration(model, job, folder=artifacts / "reconstruction")
    return save_predictions(model, job, draw=draw_reconstructions, artifacts=artifacts, spool=spool)


KIND = JobKind(scorer=_scorer, draw=_draw)

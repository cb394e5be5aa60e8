"""From what was scored to the one file that says a run is finished."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multimae.engine.selection import BestWeights, Selection
from multimae.record.attempt import attempts_of
from multimae.record.evaluation import Evaluation
from multimae.record.events import read_history
from multimae.record.result import Result, SamplePictures, Score, accepted_before, earlier_scores
from multimae.record.run import Run
from multimae.record.versions import versions


def write_result(
    run_dir: Path,
    *,
    run: Run,
    evaluations: Sequence[Evaluation],
    predictions: Sequence[SamplePictures],
    num_params: int,
    steps: int,
    started: float,
    selection: Selection = "last",
    best: BestWeights | None = None,
) -> None:
    """Write result.json; `best` are the weights that `selection` chose."""
    result = Result(
        key=run.key,
        suite=run.suite,
        kind=run.kind,
        task=run.task,
        checkpoint=run.checkpoint,
        inputs=run.inputs,
        seed=run.seed,
        size=run.size,
        profile=run.profile,
        primary=run.primary,
        dataset=run.dataset.name,
        rows=tuple(row for item in evaluations for row in _rows(item, item.metrics, selection=selection)),
        baselines=tuple(row for item in evaluations for row in _rows(item, item.baseline)),
        predictions=tuple(predictions),
        selected=_selected(selection, best=best, steps=steps),
        num_params=num_params,
        steps=steps,
        seconds=round(read_history(run_dir).seconds, 1),
        attempts=sum(attempt.started is not None for attempt in attempts_of(run_dir)),
        started=started,
        finished=time.time(),
        environment=versions(),
        scoring=run.scoring,
        earlier=earlier_scores(run_dir),
        accepted=accepted_before(run_dir),
        notes=(*(item.note for item in evaluations if item.note), *_notes(selection, best=best)),
    )
    result.write(run_dir)


def _rows(evaluation: Evaluation, metrics: Mapping[str, float], *, selection: Selection = "last") -> list[Score]:
    return [
        Score(
            split=evaluation.split,
            protocol=evaluation.protocol,
            metric=name,
            value=value if math.isfinite(value) else None,
            n=evaluation.counted.get(name, evaluation.num_samples),
            selection=selection,
        )
        for name, value in metrics.items()
    ]


def _selected(selection: Selection, *, best: BestWeights | None, steps: int) -> dict[str, Any]:
    """Say which weights were scored: after how many steps, and by which value they were chosen."""
    if best is None or not best.step:
        return {"selection": selection, "step": steps}
    return {"selection": selection, "step": best.step, "metric": best.metric.name, "value": best.value}


def _notes(selection: Selection, *, best: BestWeights | None) -> list[str]:
    if best is None:
        return []
    if not best.step:
        return [f"no weights could be selected, {best.metric.label} was never a number: the last ones are reported"]
    if selection == "test":
        return [f"selected on the test set: the weights after step {best.step} have the best {best.metric.label} there"]
    return []

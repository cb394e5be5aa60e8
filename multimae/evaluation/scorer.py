"""How a model of one kind of task is scored on batches: by a metric, or in a way of the kind's own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from mmengine.evaluator import Evaluator
from torch import Tensor

from multimae.evaluation.constants import ConstantPredictor
from multimae.evaluation.scoring import Batch
from multimae.registry import EVALUATORS


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The metrics of a model, and `baseline`: those of what can be said without looking.

    `counted` says by metric how many samples had something to score, where that is not all of them.
    """

    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    counted: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Scorer(Protocol):
    """Score `model` on the batches of the evaluation `item` of a config, `num_samples` samples over all processes."""

    def __call__(self, model: Any, batches: Iterable[Batch], *, item: Any, num_samples: int) -> Scores: ...


class MetricScorer:
    """Score predictions by the metric that the evaluation describes, beside a constant.

    `target`: the modality that is predicted, where it has to be known. `best_constant` works out from an evaluation
    what a constant predictor says; that and its scores, which cannot change between two evaluations, are computed once.
    """

    def __init__(self, target: str, *, best_constant: Callable[[Any], float | Tensor]) -> None:
        self.target = target
        self._best_constant = best_constant
        self._constant: float | Tensor | None = None
        self._baselines: dict[str, dict[str, float]] = {}

    def __call__(self, model: Any, batches: Iterable[Batch], *, item: Any, num_samples: int) -> Scores:
        name = f"{item.split}/{item.protocol}"
        evaluator = Evaluator(item.evaluator)
        constant = None if name in self._baselines else self._constant_predictor(item)
        for batch in batches:
            evaluator.process(data_samples=predict(model, batch, item=item, target=self.target), data_batch=batch)
            if constant is not None:
                constant.process(batch)
        if constant is not None:
            self._baselines[name] = constant.evaluate(num_samples)
        metrics = evaluator.evaluate(num_samples)
        (metric,) = evaluator.metrics
        return Scores(metrics=metrics, baseline=self._baselines[name], counted=dict.fromkeys(metrics, metric.counted))

    def _constant_predictor(self, item: Any) -> ConstantPredictor:
        if self._constant is None:
            self._constant = self._best_constant(item)
        return ConstantPredictor(EVALUATORS.build(item.evaluator), constant=self._constant)


def predict(model: Any, batch: Batch, *, item: Any, target: str) -> list[Tensor]:
    """Return what the model answers to a batch, shown to it as the evaluation `item` says (`multimae.inference`)."""
    data = model.data_preprocessor(batch, False)
    ways = {name: item[name] for name in ("inference", "flip") if name in item}
    answers: list[Tensor] = model.predict(data["inputs"], target=target, **ways)
    return answers

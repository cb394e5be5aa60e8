"""Score a model on a split under one protocol, beside what a constant predictor would score there."""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from multimae.data.folder import MultiModalFolder
from multimae.engine.reconstruction import score_reconstruction
from multimae.engine.signals import StopRequest
from multimae.evaluation import ConstantPredictor, class_counts, median_depth_mm, most_frequent_class
from multimae.registry import EVALUATORS

Batch = dict[str, Any]
Loader = torch.utils.data.DataLoader[Batch]
NUM_TRAINING_IMAGES = 200


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one split under one protocol, over `num_samples` samples; NaN where training diverged."""

    split: str
    protocol: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_samples: int


class Evaluations:
    """The evaluations of one run; what cannot change between two of them is built or computed once."""

    def __init__(self, *, kind: str, stop: StopRequest) -> None:
        self.kind = kind
        self.stop = stop
        self._loaders: dict[str, Loader] = {}
        self._baselines: dict[str, dict[str, float]] = {}
        self._constant: float | torch.Tensor | None = None

    def run(self, model: Any, item: Any) -> Evaluation:
        """Carry out the evaluation `item` of a config; raise PreemptedError between batches if asked to stop."""
        name = f"{item.split}/{item.protocol}"
        if name not in self._loaders:
            self._loaders[name] = Runner.build_dataloader(item.dataloader, seed=0)
        loader = self._loaders[name]
        training = model.training
        model.eval()
        with torch.no_grad():
            if self.kind == "pretraining":
                metrics, baseline = score_reconstruction(_unwrapped(model), self._batches(loader))
            else:
                metrics, baseline = self._transfer(model, loader, item, name=name)
        model.train(training)
        return Evaluation(
            split=item.split,
            protocol=item.protocol,
            metrics=metrics,
            baseline=baseline,
            num_samples=_num_samples(loader),
        )

    def _transfer(
        self, model: Any, loader: Loader, item: Any, *, name: str
    ) -> tuple[dict[str, float], dict[str, float]]:
        evaluator = Evaluator(item.evaluator)
        constant = None if name in self._baselines else self._constant_predictor(item)
        for batch in self._batches(loader):
            evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
            if constant is not None:
                constant.process(batch)
        if constant is not None:
            self._baselines[name] = constant.evaluate(_num_samples(loader))
        return evaluator.evaluate(_num_samples(loader)), self._baselines[name]

    def _constant_predictor(self, item: Any) -> ConstantPredictor:
        if self._constant is None:
            self._constant = _best_constant(item, kind=self.kind)
        return ConstantPredictor(EVALUATORS.build(item.evaluator), constant=self._constant)

    def _batches(self, loader: Loader) -> Iterable[Batch]:
        for batch in loader:
            self.stop.check()
            yield batch


def _best_constant(item: Any, *, kind: str) -> float | torch.Tensor:
    """Return the training split's class frequencies, or its most frequent pixel class or median depth.

    For the latter two some hundred images are enough.
    """
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    train = {**described, "split": "train", "cache": "none"}
    if kind == "classification":
        return class_counts(MultiModalFolder(**train))
    some = MultiModalFolder(**{**train, "modalities": [kind], "limit": NUM_TRAINING_IMAGES})
    return float(most_frequent_class(some)) if kind == "semseg" else median_depth_mm(some)


def _num_samples(loader: Loader) -> int:
    return len(cast(Sized, loader.dataset))


def _unwrapped(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model

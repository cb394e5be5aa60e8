"""Score a model on a split under one protocol, beside what a constant predictor would score there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn

from multimae.engine.reconstruction import score_reconstruction
from multimae.engine.signals import StopRequest

Batch = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one split under one protocol, over `num_samples` samples; NaN where training diverged."""

    split: str
    protocol: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_samples: int


class Evaluations:
    """The evaluations of one run; data loaders are built once, so that what they cache is read once."""

    def __init__(self, *, kind: str, stop: StopRequest) -> None:
        self.kind = kind
        self.stop = stop
        self._loaders: dict[str, torch.utils.data.DataLoader[Batch]] = {}

    def run(self, model: nn.Module, item: Any) -> Evaluation:
        """Carry out the evaluation `item` of a config; raise PreemptedError between batches if asked to stop."""
        name = f"{item.split}/{item.protocol}"
        if name not in self._loaders:
            self._loaders[name] = Runner.build_dataloader(item.dataloader, seed=0)
        loader = self._loaders[name]
        training = model.training
        model.eval()
        with torch.no_grad():
            if self.kind == "pretraining":
                metrics, baseline = score_reconstruction(model, self._batches(loader))
            else:
                metrics, baseline = self._transfer(model, loader, item)
        model.train(training)
        return Evaluation(
            split=item.split,
            protocol=item.protocol,
            metrics=metrics,
            baseline=baseline,
            num_samples=len(loader.dataset),
        )

    def _transfer(
        self, model: nn.Module, loader: "torch.utils.data.DataLoader[Batch]", item: Any
    ) -> tuple[dict[str, float], dict[str, float]]:
        evaluator = Evaluator(item.evaluator)
        for batch in self._batches(loader):
            evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
        scores = evaluator.evaluate(len(loader.dataset))
        return {name: float(value) for name, value in scores.items()}, {}

    def _batches(self, loader: Iterable[Batch]) -> Iterable[Batch]:
        for batch in loader:
            self.stop.check()
            yield batch

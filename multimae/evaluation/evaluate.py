"""Score a model on a split under one protocol, beside what a constant predictor would score there."""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import Subset

from multimae.data.folder import MultiModalFolder
from multimae.engine.signals import StopRequest
from multimae.evaluation import (
    ConstantPredictor,
    class_counts,
    median_depth_mm,
    median_targets,
    most_frequent_class,
)
from multimae.evaluation.reconstruction import score_reconstruction
from multimae.registry import DATASETS, EVALUATORS

Batch = dict[str, Any]
Loader = torch.utils.data.DataLoader[Batch]
NUM_TRAINING_IMAGES = 200


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one split under one protocol, over `num_samples` samples; NaN where training diverged.

    `note` says what a reader of the numbers must know beyond that, or nothing.
    """

    split: str
    protocol: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_samples: int
    note: str = ""


class Evaluations:
    """The evaluations of one run; what cannot change between two of them is built or computed once.

    `target`: the modality that is predicted, where it has to be known.
    """

    def __init__(self, *, kind: str, stop: StopRequest, target: str = "") -> None:
        self.kind = kind
        self.stop = stop
        self.target = target
        self._loaders: dict[str, Loader] = {}
        self._baselines: dict[str, dict[str, float]] = {}
        self._constant: float | torch.Tensor | None = None

    def run(self, model: Any, item: Any) -> Evaluation:
        """Carry out the evaluation `item` of a config; raise PreemptedError between batches if asked to stop."""
        name = f"{item.split}/{item.protocol}"
        if name not in self._loaders:
            self._loaders[name] = _loader(item)
        loader = self._loaders[name]
        training = model.training
        model.eval()
        with torch.no_grad():
            if self.kind == "pretraining":
                metrics, baseline = score_reconstruction(unwrapped(model), self._batches(loader))
            else:
                metrics, baseline = self._transfer(unwrapped(model), loader, item, name=name)
        model.train(training)
        return Evaluation(
            split=item.split,
            protocol=item.protocol,
            metrics=metrics,
            baseline=baseline,
            num_samples=_num_samples(loader),
            note=_note(loader, name=name),
        )

    def _transfer(
        self, model: Any, loader: Loader, item: Any, *, name: str
    ) -> tuple[dict[str, float], dict[str, float]]:
        evaluator = Evaluator(item.evaluator)
        constant = None if name in self._baselines else self._constant_predictor(item)
        for batch in self._batches(loader):
            evaluator.process(data_samples=predict(model, batch, item=item, target=self.target), data_batch=batch)
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


def predict(model: Any, batch: Batch, *, item: Any, target: str) -> list[torch.Tensor]:
    """Return what the model answers to a batch, shown to it as the evaluation `item` says (`multimae.inference`)."""
    data = model.data_preprocessor(batch, False)
    ways = {name: item[name] for name in ("inference", "flip") if name in item}
    answers: list[torch.Tensor] = model.predict(data["inputs"], target=target, **ways)
    return answers


@DATASETS.register_module()
class PermutedSubset(Subset[Batch]):
    """Keep the `num_images` of a data set that the reference scores with `max_val_images`, in its order.

    Both matter where scores of batches are averaged: they are the first of numpy's permutation with seed 0.
    """

    def __init__(self, *, dataset: dict[str, Any], num_images: int) -> None:
        whole: Any = DATASETS.build(dataset)
        super().__init__(whole, np.random.RandomState(0).permutation(len(whole))[:num_images].tolist())


def _loader(item: Any) -> Loader:
    """Build the loader of an evaluation; no sample is shown twice so that every process has as many."""
    described = {**item.dataloader, "sampler": {"round_up": False, **item.dataloader.sampler}}
    if num_images := item.get("num_images", 0):
        kept = {"type": "multimae.PermutedSubset", "dataset": item.dataloader.dataset, "num_images": num_images}
        described["dataset"] = kept
    loader: Loader = Runner.build_dataloader(described, seed=0)
    return loader


def _note(loader: Loader, *, name: str) -> str:
    dataset = loader.dataset
    if not isinstance(dataset, PermutedSubset):
        return ""
    return (
        f"{name}: {len(dataset)} of {len(cast(Sized, dataset.dataset))} images, the first of numpy's permutation with "
        "seed 0, which the reference scores by default"
    )


def _best_constant(item: Any, *, kind: str) -> float | torch.Tensor:
    """Return the training split's class frequencies, or its most frequent pixel class or median value.

    For the latter some hundred images are enough.
    """
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    train = {**described, "split": "train", "cache": "none", "limit": None}
    if kind == "classification":
        return class_counts(MultiModalFolder(**train))
    train["limit"] = NUM_TRAINING_IMAGES
    if kind == "regression":  # what is scored, the pipeline makes of the files
        return median_targets(MultiModalFolder(**train))
    some = MultiModalFolder(**{**train, "modalities": [kind]})
    return float(most_frequent_class(some)) if kind == "semseg" else median_depth_mm(some)


def _num_samples(loader: Loader) -> int:
    return len(cast(Sized, loader.dataset))


def unwrapped(model: Any) -> Any:
    """Return the model itself where a wrapper of a distributed training holds it."""
    return model.module if is_model_wrapper(model) else model

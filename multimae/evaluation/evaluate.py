"""Score a model on a split under one protocol, beside what a constant predictor would score there."""

from collections.abc import Callable, Iterable, Sized
from typing import Any, cast

import numpy as np
import torch
from mmengine.runner import Runner
from torch.utils.data import Subset

from multimae.evaluation.scorer import Scorer
from multimae.evaluation.scoring import Batch
from multimae.record.evaluation import Evaluation
from multimae.registry import DATASETS

Loader = torch.utils.data.DataLoader[Batch]


class Evaluations:
    """The evaluations of one run by the `scorer` of its kind; a loader is built once.

    `check` is called between batches; an exception of its ends the evaluation.
    """

    def __init__(self, scorer: Scorer, *, check: Callable[[], None]) -> None:
        self.scorer = scorer
        self.check = check
        self._loaders: dict[str, Loader] = {}

    def run(self, model: Any, item: Any) -> Evaluation:
        """Carry out the evaluation `item` of a config."""
        name = f"{item.split}/{item.protocol}"
        if name not in self._loaders:
            self._loaders[name] = _loader(item)
        loader = self._loaders[name]
        num_samples = len(cast(Sized, loader.dataset))
        training = model.training
        model.eval()
        with torch.no_grad():
            scores = self.scorer(model, self._batches(loader), item=item, num_samples=num_samples)
        model.train(training)
        return Evaluation(
            split=item.split,
            protocol=item.protocol,
            metrics=scores.metrics,
            baseline=scores.baseline,
            num_samples=num_samples,
            counted=scores.counted,
            note=_note(loader, name=name),
        )

    def _batches(self, loader: Loader) -> Iterable[Batch]:
        for batch in loader:
            self.check()
            yield batch


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

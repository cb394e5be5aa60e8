"""How well hidden patches are predicted: masked losses on unseen images, beside those of the best constants."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from mmengine.dist import all_gather_object
from torch import Tensor

from multimae.evaluation.scorer import Scores
from multimae.layers import unfold_patches
from multimae.losses import normalise_patches
from multimae.pretraining import MultiMAEPretraining

MASK_SEED = 0
Gather = Callable[[Sequence[Tensor]], Sequence[Tensor]]

PIXEL_STRIDE = 7  # of the pixels kept for a median: an odd stride meets every column of a power-of-two width


def score_reconstruction(
    model: MultiMAEPretraining, batches: Iterable[Mapping[str, Any]], *, gather: Gather = list
) -> Scores:
    """Return `loss_<output>` of the model, under masks that are the same for every model, and of constants.

    The constants are the best there are for these very images: mean colour, median depth, class frequencies. Masks
    are drawn without regard to the content, so a constant's loss on hidden patches is its loss on all. Where
    each of several processes scores its own samples, `gather` returns what all of them have.
    """
    generator = torch.Generator().manual_seed(MASK_SEED)  # on the CPU: the same masks wherever the model is
    constants = {name: _Constant(name, model=model) for name in model.targets}
    losses: dict[str, list[Tensor]] = {name: [] for name in model.targets}
    for batch in batches:
        data = model.data_preprocessor(dict(batch), False)
        available = data["meta"].get("available", {})
        known = {**data["inputs"], **data["targets"]}
        result = model.reconstruct(data["inputs"], targets=data["targets"], available=available, generator=generator)
        for name, values in result.losses.items():
            losses[name].append(values.cpu())
            target = model.targets[name].name
            constants[name].add(known[target][available[target]] if target in available else known[target])
    by_metric = {f"loss_{name}": torch.cat(list(gather(values))) for name, values in losses.items()}
    return Scores(
        metrics={name: float(values.nanmean()) for name, values in by_metric.items()},
        baseline={f"loss_{name}": constant.loss(gather) for name, constant in constants.items()},
        counted={name: number for name, values in by_metric.items() if (number := int((~values.isnan()).sum()))},
    )


class _Constant:
    """Gather what the best constant prediction of one output would lose."""

    def __init__(self, output: str, *, model: MultiMAEPretraining) -> None:
        self.target = model.targets[output]
        self.normalised_patch_size = model.backbone.patch_size if output != self.target.name else 0
        self.num_classes = model.num_classes(self.target)
        self._sums: list[Tensor] = []  # of values and of their squares, [2, channels]
        self._num = 0  # of values a channel
        self._pixels: list[Tensor] = []
        self._counts = torch.zeros(self.num_classes, dtype=torch.float64)

    def add(self, maps: Tensor) -> None:
        if not len(maps):  # no sample of the batch has the modality
            return
        if self.target.loss == "cross_entropy":
            self._counts += torch.bincount(maps.flatten().cpu(), minlength=self.num_classes + 1)[: self.num_classes]
            return
        if self.normalised_patch_size:
            maps = normalise_patches(unfold_patches(maps, patch_size=self.normalised_patch_size))[:, None]
        # [batch, channels, ...] -> [channels, values]
        values = maps.transpose(0, 1).flatten(1).double().cpu()
        self._sums.append(torch.stack([values.sum(dim=1), values.square().sum(dim=1)]))
        self._num += values.shape[1]
        if self.target.loss == "l1":
            self._pixels.append(values[:, ::PIXEL_STRIDE])

    def loss(self, gather: Gather) -> float:
        """Return what the best constant loses on what all processes have added."""
        if self.target.loss == "cross_entropy":
            counts = torch.stack(list(gather([self._counts]))).sum(dim=0)
            share = counts / counts.sum()
            return float(-torch.xlogy(share, share).sum())
        if self.target.loss == "l1":
            pixels = torch.cat(list(gather(self._pixels)), dim=1)
            return float((pixels - pixels.median(dim=1, keepdim=True).values).abs().mean())
        num = sum(int(part) for part in gather([torch.tensor(self._num)]))
        mean, square = torch.stack(list(gather(self._sums))).sum(dim=0) / num
        return float((square - mean.square()).mean())


def of_all_processes(parts: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of all processes, every one of which has to ask."""
    return list(chain.from_iterable(all_gather_object(list(parts))))

"""How well hidden patches are predicted: masked losses on unseen images, beside those of the best constants."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from multimae.evaluation.scorer import Scores
from multimae.layers import unfold_patches
from multimae.losses import normalise_patches
from multimae.pretraining import MultiMAEPretraining

MASK_SEED = 0
PIXEL_STRIDE = 7  # of the pixels kept for a median: an odd stride meets every column of a power-of-two width


def score_reconstruction(model: MultiMAEPretraining, batches: Iterable[Mapping[str, Any]]) -> Scores:
    """Return `loss_<output>` of the model, under masks that are the same for every model, and of constants.

    The constants are the best there are for these very images: mean colour, median depth, class frequencies. Masks
    are drawn without regard to the content, so a constant's loss on hidden patches is its loss on all.
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
            losses[name].append(values)
            target = model.targets[name].name
            constants[name].add(known[target][available[target]] if target in available else known[target])
    by_metric = {f"loss_{name}": torch.cat(values) for name, values in losses.items()}
    baseline = {f"loss_{name}": constant.loss() for name, constant in constants.items()}
    return Scores(
        metrics={name: float(values.nanmean()) for name, values in by_metric.items()},
        baseline=baseline,
        counted={name: number for name, values in by_metric.items() if (number := int((~values.isnan()).sum()))},
    )


class _Constant:
    """Gather what the best constant prediction of one output would lose."""

    def __init__(self, output: str, *, model: MultiMAEPretraining) -> None:
        self.target = model.targets[output]
        self.normalised_patch_size = model.backbone.patch_size if output != self.target.name else 0
        self.num_classes = model.num_classes(self.target)
        self._means: list[Tensor] = []
        self._squares: list[Tensor] = []
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
        self._means.append(values.mean(dim=1))
        self._squares.append(values.square().mean(dim=1))
        if self.target.loss == "l1":
            self._pixels.append(values[:, ::PIXEL_STRIDE])

    def loss(self) -> float:
        if self.target.loss == "cross_entropy":
            share = self._counts / self._counts.sum()
            return float(-torch.xlogy(share, share).sum())
        if self.target.loss == "l1":
            pixels = torch.cat(self._pixels, dim=1)
            return float((pixels - pixels.median(dim=1, keepdim=True).values).abs().mean())
        mean, square = torch.stack(self._means).mean(dim=0), torch.stack(self._squares).mean(dim=0)
        return float((square - mean.square()).mean())

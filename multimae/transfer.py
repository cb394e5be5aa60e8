"""Transfer: the encoder sees whole inputs, one head predicts one task (section 4 of the paper)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from multimae.averaging import AveragedModel, Batch
from multimae.checkpoints.initialising import ModelFromFile
from multimae.checkpoints.loading import load_model
from multimae.checkpoints.report import LoadReport
from multimae.inference import Flip, Forward, Inference, average_flipped, slide
from multimae.losses import IGNORE_LABEL, berhu, label_cross_entropy, masked_l1, segmentation_cross_entropy
from multimae.mixing import Mixing
from multimae.record.nearest import unknown
from multimae.registry import MODELS
from multimae.shapes import Float

Targets = Mapping[str, Tensor]
Largest = Callable[[Tensor], Tensor]
"""What makes the largest error of a step of a batch's."""


def samples(targets: Targets) -> Tensor:
    """Count the samples of a batch."""
    return torch.tensor(len(next(iter(targets.values()))))


@dataclass(frozen=True, kw_only=True)
class TransferLoss:
    """A mean over as many things of a batch as `count` says; `largest` is for those with a threshold."""

    mean: Callable[..., Tensor]
    count: Callable[[Targets], Tensor]
    has_threshold: bool = False

    def __call__(self, prediction: Tensor, targets: Targets, largest: Largest | None = None) -> Tensor:
        return self.mean(prediction, targets, largest) if self.has_threshold else self.mean(prediction, targets)


LOSSES: dict[str, TransferLoss] = {}


def named_loss(
    name: str, *, count: Callable[[Targets], Tensor] = samples, has_threshold: bool = False
) -> Callable[[Callable[..., Tensor]], TransferLoss]:
    """Let `MultiMAETransfer(loss=name)` train by the decorated function, a mean over as many things as `count` says.

    A step of several batches or devices weights their means by it: say it where a batch's samples do not count alike.
    """

    def register(mean: Callable[..., Tensor]) -> TransferLoss:
        return LOSSES.setdefault(name, TransferLoss(mean=mean, count=count, has_threshold=has_threshold))

    return register


def _target(name: str, *, among: Targets) -> Tensor:
    if name not in among:
        raise ValueError(f"the loss needs the target {name!r}, but targets hold only {list(among)}")
    return among[name]


def _labelled_pixels(targets: Targets) -> Tensor:
    return (_target("semseg", among=targets) != IGNORE_LABEL).sum()


def _valid_pixels(targets: Targets) -> Tensor:
    # All channels of a pixel are valid or none is: their number does not change what a batch weighs.
    return _target("mask_valid", among=targets).sum()


@named_loss("cross_entropy", count=_labelled_pixels)
def _cross_entropy(prediction: Tensor, targets: Targets) -> Tensor:
    return segmentation_cross_entropy(prediction, labels=_target("semseg", among=targets))


@named_loss("berhu", count=_valid_pixels, has_threshold=True)
def _berhu(prediction: Tensor, targets: Targets, largest: Largest | None = None) -> Tensor:
    depth, valid = (_target(name, among=targets) for name in ("depth", "mask_valid"))
    return berhu(prediction, target=depth, valid=valid, largest=largest)


@named_loss("l1", count=_valid_pixels)
def _l1(prediction: Tensor, targets: Targets) -> Tensor:
    return masked_l1(prediction, target=_target("depth", among=targets), valid=_target("mask_valid", among=targets))


@named_loss("target_l1", count=_valid_pixels)
def _target_l1(prediction: Tensor, targets: Targets) -> Tensor:
    return masked_l1(prediction, target=_target("target", among=targets), valid=_target("mask_valid", among=targets))


@named_loss("label_cross_entropy")
def _label_cross_entropy(prediction: Tensor, targets: Targets) -> Tensor:
    return label_cross_entropy(prediction, labels=_target("label", among=targets))


class LabelLoss(nn.Module):
    """Use an OpenMMLab loss for label maps, such as mmsegmentation's."""

    has_threshold = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.criterion = MODELS.build(dict(config))

    def count(self, targets: Targets) -> Tensor:
        """Count what mmsegmentation's cross-entropy averages over; losses without its options are means of samples.

        With `class_weight` it divides by the weights of the labelled pixels, with `avg_non_ignore` by their number,
        without either by the number of all pixels.
        """
        labels = _target("semseg", among=targets)
        labelled = labels != IGNORE_LABEL
        weights = getattr(self.criterion, "class_weight", None)
        if weights is not None:
            return torch.as_tensor(weights)[labels[labelled].cpu()].sum()
        return labelled.sum() if getattr(self.criterion, "avg_non_ignore", False) else samples(targets)

    def forward(self, prediction: Tensor, targets: Targets, largest: Largest | None = None) -> Tensor:
        loss: Tensor = self.criterion(prediction.float(), _target("semseg", among=targets), ignore_index=IGNORE_LABEL)
        return loss


@MODELS.register_module()
class MultiMAETransfer(ModelFromFile, AveragedModel):
    """Fine-tune a `MultiMAE` backbone with a head.

    `main_modalities`: the inputs whose tokens the head reads, all by default; the others are only attended to. `loss`:
    a name of `LOSSES` or the config of an OpenMMLab loss for label maps. The head's `dim` and `num_main` follow from
    the backbone unless its config gives them. `num_tuned_blocks`: how many of the encoder's last blocks are trained
    with the head, None for all of them and everything before; 0 freezes the whole encoder, its input adapters and
    global tokens included. What is frozen stays in evaluation mode: it drops no paths. `mixing`: settings of a `Mixing`
    for classification, None for none.
    """

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any],
        head: Mapping[str, Any],
        loss: str | Mapping[str, Any],
        main_modalities: Sequence[str] | None = None,
        num_tuned_blocks: int | None = None,
        mixing: Mapping[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.criterion = _loss_called(loss) if isinstance(loss, str) else LabelLoss(loss)
        self.has_threshold = self.criterion.has_threshold
        self.backbone = MODELS.build({**backbone, "out_modalities": main_modalities})
        derived = {"dim": self.backbone.dim, "num_main": len(self.backbone.out_modalities)}
        self.head = MODELS.build({**derived, **head})
        self.mixing = None if mixing is None else Mixing(**mixing)
        self._frozen = _frozen_parts(self.backbone, num_tuned_blocks=num_tuned_blocks)
        for part in self._frozen:
            part.requires_grad_(False)

    def load_file(self, path: str, **settings: Any) -> LoadReport:
        """Load a file as `load_model` does, a head included; `init_cfg` of the backbone wants none."""
        return load_model(self, path, **settings)

    def train(self, mode: bool = True) -> "MultiMAETransfer":
        super().train(mode)
        for part in self._frozen:
            if isinstance(part, nn.Module):
                part.eval()
        return self

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None = None,
        meta: Mapping[str, Any] | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
        largest: Largest | None = None,
    ) -> Float[Tensor, "batch outputs *map"] | dict[str, Tensor] | list[Float[Tensor, "outputs *map"]]:
        """Dispatch as mmengine asks: "loss" to `loss`, "predict" to `predict`, "tensor" to the raw outputs."""
        if mode == "tensor":
            return self.predict_raw(inputs)
        if mode == "predict":
            return self.predict(inputs)
        if targets is None:
            raise ValueError("mode='loss' needs targets, got None")
        return self.loss(inputs, targets=targets, largest=largest)

    def predict_raw(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch outputs *map"]:
        """Return what the head makes: a map at the size of the input, or a vector of class logits."""
        encoded = self.backbone.forward_layers(inputs)
        patch_size = self.backbone.patch_size
        image_size = (encoded.grid.height * patch_size, encoded.grid.width * patch_size)
        outputs: Tensor = self.head(encoded, image_size=image_size)
        return outputs

    def remember(self, inputs: Mapping[str, Tensor], *, targets: Targets) -> None:
        """Show a head that learns by heart (`NeighbourHead`) a batch of training data."""
        self.head.remember(self.backbone.forward_layers(inputs), targets=targets)

    def predict(
        self,
        inputs: Mapping[str, Tensor],
        *,
        inference: Inference = "whole",
        flip: Flip = "none",
        target: str = "",
    ) -> list[Float[Tensor, "outputs *map"]]:
        """Return one float32 output per sample; maps include padding.

        `inference="slide"` averages over windows of the backbone's `image_size`, `flip="average"` over the image
        and its mirror image; `target` is the modality predicted, for `average_flipped`.
        """
        read = {name: inputs[name] for name in self.backbone.modalities if name in inputs}
        once: Forward = {"whole": self.predict_raw, "slide": self._slide}[inference]
        mirrored: Forward = partial(average_flipped, forward=once, target=target)
        return list({"none": once, "average": mirrored}[flip](read).float().unbind(0))

    def _slide(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch outputs height width"]:
        window = self.backbone.image_size // self.backbone.patch_size
        return slide(inputs, forward=self.predict_raw, grid=self.backbone.grid(inputs), window=window)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Return over how many valid pixels or samples of a batch the loss is averaged."""
        return {"loss": self.criterion.count(batch["targets"])}

    def loss(
        self, inputs: Mapping[str, Tensor], *, targets: Targets, largest: Largest | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the one loss, averaged over the valid pixels or the samples of the batch.

        `largest`: what a threshold is drawn by where the batch is a part of a step, see `berhu`.
        """
        if self.mixing is not None:
            mixed = self.mixing(inputs, labels=_target("label", among=targets))
            inputs, targets = mixed.inputs, {**targets, "label": mixed.labels}
        return {"loss": self.criterion(self.predict_raw(inputs), targets, largest)}


def _loss_called(name: str) -> TransferLoss:
    if name not in LOSSES:
        raise ValueError(unknown("loss", name, LOSSES))
    return LOSSES[name]


def _frozen_parts(backbone: nn.Module, *, num_tuned_blocks: int | None) -> list[nn.Module | nn.Parameter]:
    """Return what is not trained when only the last `num_tuned_blocks` blocks of an encoder are."""
    if num_tuned_blocks is None:
        return []
    blocks = list(backbone.get_submodule("encoder").children())
    if not 0 <= num_tuned_blocks <= len(blocks):
        raise ValueError(
            f"num_tuned_blocks is {num_tuned_blocks}, the encoder has {len(blocks)} blocks: wanted None (train "
            "everything) or 0 (train the head alone) to all blocks"
        )
    tokens = cast(nn.Parameter, backbone.global_tokens)
    return [backbone.get_submodule("input_adapters"), tokens, *blocks[: len(blocks) - num_tuned_blocks]]

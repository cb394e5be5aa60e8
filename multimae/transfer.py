"""Transfer: the encoder sees whole inputs, one head predicts one task (section 4 of the paper)."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

from mmengine.model import BaseModel
from torch import Tensor, nn

from multimae.losses import IGNORE_LABEL, berhu, masked_l1, segmentation_cross_entropy
from multimae.registry import MODELS
from multimae.shapes import Float

TransferLoss = Callable[[Tensor, Mapping[str, Tensor]], Tensor]


def _target(name: str, *, among: Mapping[str, Tensor]) -> Tensor:
    if name not in among:
        raise ValueError(f"the loss needs the target {name!r}, but targets hold only {list(among)}")
    return among[name]


def _cross_entropy(prediction: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    return segmentation_cross_entropy(prediction, labels=_target("semseg", among=targets))


def _berhu(prediction: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    return berhu(prediction, target=_target("depth", among=targets), valid=_target("mask_valid", among=targets))


def _l1(prediction: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    return masked_l1(prediction, target=_target("depth", among=targets), valid=_target("mask_valid", among=targets))


LOSSES: Mapping[str, TransferLoss] = MappingProxyType({"cross_entropy": _cross_entropy, "berhu": _berhu, "l1": _l1})


class LabelLoss(nn.Module):
    """Use an OpenMMLab loss for label maps, such as mmsegmentation's."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.criterion = MODELS.build(dict(config))

    def forward(self, prediction: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        loss: Tensor = self.criterion(prediction.float(), _target("semseg", among=targets), ignore_index=IGNORE_LABEL)
        return loss


@MODELS.register_module()
class MultiMAETransfer(BaseModel):  # type: ignore[misc]  # mmengine is untyped
    """Fine-tune a `MultiMAE` backbone with a head.

    `main_modalities`: the inputs whose tokens the head reads, all by default; the others are only attended to. `loss`:
    a name of `LOSSES` or the config of an OpenMMLab loss for label maps. The head's `dim` and `num_main` follow from
    the backbone unless its config gives them.
    """

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any],
        head: Mapping[str, Any],
        loss: str | Mapping[str, Any],
        main_modalities: Sequence[str] | None = None,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.criterion: TransferLoss = _named_loss(loss) if isinstance(loss, str) else LabelLoss(loss)
        self.backbone = MODELS.build({**backbone, "out_modalities": main_modalities})
        derived = {"dim": self.backbone.dim, "num_main": len(self.backbone.out_modalities)}
        self.head = MODELS.build({**derived, **head})

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None = None,
        meta: Mapping[str, Any] | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
    ) -> Float[Tensor, "batch outputs height width"] | dict[str, Tensor] | list[Float[Tensor, "outputs height width"]]:
        """Dispatch as mmengine asks: "loss" to `loss`, "predict" to `predict`, "tensor" to the raw map."""
        if mode == "tensor":
            return self.predict_maps(inputs)
        if mode == "predict":
            return self.predict(inputs)
        if targets is None:
            raise ValueError("mode='loss' needs targets, got None")
        return self.loss(inputs, targets=targets)

    def predict_maps(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "batch outputs height width"]:
        """Return logits or normalised values at the size of the input."""
        encoded = self.backbone.forward_layers(inputs)
        patch_size = self.backbone.patch_size
        image_size = (encoded.grid.height * patch_size, encoded.grid.width * patch_size)
        maps: Tensor = self.head(encoded, image_size=image_size)
        return maps

    def predict(self, inputs: Mapping[str, Tensor]) -> list[Float[Tensor, "outputs height width"]]:
        """Return one float32 map per sample, padding included."""
        return list(self.predict_maps(inputs).float().unbind(0))

    def loss(self, inputs: Mapping[str, Tensor], *, targets: Mapping[str, Tensor]) -> dict[str, Float[Tensor, ""]]:
        """Return the one loss, averaged over valid pixels of the batch."""
        return {"loss": self.criterion(self.predict_maps(inputs), targets)}


def _named_loss(name: str) -> TransferLoss:
    if name not in LOSSES:
        nearest = get_close_matches(name, LOSSES, n=len(LOSSES), cutoff=0.0)
        raise ValueError(f"no loss {name!r}; known, nearest first: {', '.join(nearest)}")
    return LOSSES[name]

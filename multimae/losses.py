"""Losses of pre-training, on patches, and of transfer, on maps; all are computed in float32."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.shapes import Bool, Float, Int

IGNORE_LABEL = 255


@dataclass(frozen=True, kw_only=True)
class SampleLosses:
    """Hold one loss per sample; a sample that is not `counted` had nothing to predict, and its value is 0."""

    values: Float[Tensor, "batch"]
    counted: Bool[Tensor, "batch"]

    def mean(self) -> Float[Tensor, ""]:
        """Average over the counted samples; 0, with gradients of 0, if there are none."""
        return self.values.sum() / self.counted.sum().clamp(min=1)


def patch_mse(
    prediction: Float[Tensor, "batch tokens values"],
    *,
    target: Float[Tensor, "batch tokens values"],
    mask: Bool[Tensor, "batch tokens"],
) -> SampleLosses:
    """Average the squared error over each sample's hidden patches."""
    errors = (prediction.float() - target.float()).square().mean(dim=-1)
    return _mean_where(errors, selected=mask)


def patch_l1(
    prediction: Float[Tensor, "batch tokens values"],
    *,
    target: Float[Tensor, "batch tokens values"],
    mask: Bool[Tensor, "batch tokens"],
) -> SampleLosses:
    """Average the absolute error over each sample's hidden patches."""
    errors = (prediction.float() - target.float()).abs().mean(dim=-1)
    return _mean_where(errors, selected=mask)


def patch_cross_entropy(
    prediction: Float[Tensor, "batch tokens values"],
    *,
    target: Int[Tensor, "batch tokens pixels"],
    mask: Bool[Tensor, "batch tokens"],
) -> SampleLosses:
    """Average the cross-entropy over the labelled pixels of each sample's hidden patches.

    A patch lists its logits class slowest, then pixel.
    """
    # [batch, tokens, classes * pixels] -> [batch * tokens, classes, pixels]
    logits = prediction.float().reshape(target.shape[0] * target.shape[1], -1, target.shape[2])
    errors = F.cross_entropy(logits, target.flatten(0, 1), ignore_index=IGNORE_LABEL, reduction="none")
    # [batch * tokens, pixels] -> [batch, tokens, pixels]
    return _mean_where(errors.view(target.shape), selected=mask[:, :, None] & (target != IGNORE_LABEL))


def normalise_patches(patches: Float[Tensor, "batch tokens values"]) -> Float[Tensor, "batch tokens values"]:
    """Give each patch mean 0 and variance 1 over all of its values, channels included (He et al. 2022)."""
    values = patches.float()
    centred = values - values.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / (values.shape[-1] - 1)
    return centred / (variance + 1e-6).sqrt()


def berhu(
    prediction: Float[Tensor, "batch channels height width"],
    *,
    target: Float[Tensor, "batch channels height width"],
    valid: Bool[Tensor, "batch 1 height width"],
    largest: Callable[[Float[Tensor, ""]], Float[Tensor, ""]] | None = None,
) -> Float[Tensor, ""]:
    """Compute the reverse Huber loss over valid pixels (Laina et al. 2016).

    |d| below c, (d^2 + c^2) / (2c) above, with c a fifth of the largest |d| in the batch, or of what `largest` makes of
    it: the largest of all batches that count together.
    """
    errors, count = _valid_errors(prediction, target=target, valid=valid)
    peak = errors.detach().amax()
    threshold = (0.2 * (peak if largest is None else largest(peak))).clamp(min=1e-5)
    penalties = torch.where(errors < threshold, errors, (errors.square() + threshold.square()) / (2 * threshold))
    return torch.where(valid, penalties, 0).sum() / count


def masked_l1(
    prediction: Float[Tensor, "batch channels height width"],
    *,
    target: Float[Tensor, "batch channels height width"],
    valid: Bool[Tensor, "batch 1 height width"],
) -> Float[Tensor, ""]:
    """Average the absolute error over valid pixels and channels."""
    errors, count = _valid_errors(prediction, target=target, valid=valid)
    return errors.sum() / count


def masked_mse(
    prediction: Float[Tensor, "batch channels height width"],
    *,
    target: Float[Tensor, "batch channels height width"],
    valid: Bool[Tensor, "batch 1 height width"],
) -> Float[Tensor, ""]:
    """Average the squared error over valid pixels and channels."""
    errors, count = _valid_errors(prediction, target=target, valid=valid)
    return errors.square().sum() / count


def segmentation_cross_entropy(
    logits: Float[Tensor, "batch classes height width"], *, labels: Int[Tensor, "batch height width"]
) -> Float[Tensor, ""]:
    """Average the cross-entropy over labelled pixels; 0 if there are none."""
    total = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE_LABEL, reduction="sum")
    return total / (labels != IGNORE_LABEL).sum().clamp(min=1)


def label_cross_entropy(
    logits: Float[Tensor, "batch classes"], *, labels: Int[Tensor, "batch"] | Float[Tensor, "batch classes"]
) -> Float[Tensor, ""]:
    """Average the cross-entropy over samples; `labels` are classes, or shares of classes where samples are mixed."""
    return F.cross_entropy(logits.float(), labels)


def _mean_where(errors: Float[Tensor, "batch *places"], *, selected: Bool[Tensor, "batch *places"]) -> SampleLosses:
    # where, not a product: what is not selected may be infinite. The divisor is safe, so that a sample without any
    # selected place gives gradients of 0 and not NaN.
    count = selected.flatten(1).sum(dim=1)
    total = torch.where(selected, errors, 0).flatten(1).sum(dim=1)
    return SampleLosses(values=total / count.clamp(min=1), counted=count > 0)


def _valid_errors(
    prediction: Float[Tensor, "batch channels height width"],
    *,
    target: Float[Tensor, "batch channels height width"],
    valid: Bool[Tensor, "batch 1 height width"],
) -> tuple[Float[Tensor, "batch channels height width"], Int[Tensor, ""]]:
    """Return absolute errors, 0 where invalid, and the number of valid values, at least 1."""
    errors = torch.where(valid, (prediction.float() - target.float()).abs(), 0)
    return errors, (valid.sum() * target.shape[1]).clamp(min=1)

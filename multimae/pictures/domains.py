"""Draw a domain that a regression predicts beside the true one."""

from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.data.maps import Sample
from multimae.pictures.colours import Picture, coloured, enlarged, rgb_picture, share_of_range
from multimae.pictures.predictions import Drawing, predicted_content, seen
from multimae.shapes import Float
from multimae.tables.modalities import modality


def draw_domain(model: nn.Module, sample: Sample, batch: dict[str, Any], *, job: Any) -> dict[str, Drawing]:
    """Draw a predicted domain beside the true one, which is black where it is not valid."""
    truth, valid = batch["targets"]["target"][0], batch["targets"]["mask_valid"][0]
    guess = enlarged(predicted_content(model, batch, job=job), size=tuple(truth.shape[-2:]))
    range_ = _value_range(truth[valid.expand_as(truth)])
    target, predicted = (_domain(values, name=job.target, range_=range_) for values in (truth, guess))
    return {
        **seen(sample),
        "target": Drawing(np.where(valid[0].numpy()[..., None], target, np.uint8(0))),
        "prediction": Drawing(predicted),
    }


def _domain(values: Float[Tensor, "channels height width"], *, name: str, range_: tuple[float, float]) -> Picture:
    """Draw normals as they look, one channel as colours over a range, and two as red and green over it."""
    if modality(name).kind == "normals":
        return rgb_picture(values)
    shares = share_of_range(values, near_far=range_)
    return coloured(shares[0]) if len(shares) == 1 else rgb_picture(F.pad(shares, (0, 0, 0, 0, 0, 3 - len(shares))))


def _value_range(values: Float[Tensor, " values"]) -> tuple[float, float]:
    # Of edges and keypoints nearly all pixels are nearly 0: the few that are not must not be cut.
    return (float(values.min()), float(values.max())) if values.numel() else (0.0, 1.0)

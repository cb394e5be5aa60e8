"""Draw predicted depth beside the true one, over the range of the true one."""

from typing import Any

from torch import nn

from multimae.data.maps import Sample
from multimae.pictures.colours import depth_picture, enlarged
from multimae.pictures.predictions import Drawing, predicted_content, seen


def draw_depth(model: nn.Module, sample: Sample, batch: dict[str, Any], *, job: Any) -> dict[str, Drawing]:
    """Draw millimetres in colours from near to far."""
    prediction = enlarged(predicted_content(model, batch, job=job), size=sample.height_width)
    truth = sample.maps["depth"][0].float()
    millimetres = prediction[0] * sample.spec.depth_std_mm + sample.spec.depth_mean_mm
    return {
        **seen(sample),
        "target": Drawing(depth_picture(truth, scale_of=truth)),
        "prediction": Drawing(depth_picture(millimetres, scale_of=truth)),
    }

"""Draw predicted classes beside the true ones, and the depth that they may have been read off."""

from typing import Any

from torch import nn

from multimae.data.labels import label_code
from multimae.data.maps import Sample
from multimae.pictures.colours import depth_picture, enlarged, labels_picture
from multimae.pictures.predictions import Drawing, predicted_content, seen


def draw_classes(model: nn.Module, sample: Sample, batch: dict[str, Any], *, job: Any) -> dict[str, Drawing]:
    """Draw every pixel in the colour of its class."""
    prediction = enlarged(predicted_content(model, batch, job=job), size=sample.height_width)
    truth, code = sample.maps["semseg"][0].long() - 1, label_code("semseg", spec=sample.spec)
    drawings = {
        **seen(sample),
        "target": Drawing(labels_picture(truth, code=code), of_classes=True),
        "prediction": Drawing(labels_picture(prediction.argmax(dim=0), code=code), of_classes=True),
    }
    if "depth" in sample.maps:
        depth = sample.maps["depth"][0].float()
        drawings["depth"] = Drawing(depth_picture(depth, scale_of=depth))
    return drawings

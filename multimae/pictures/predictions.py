"""A few predictions as pictures beside what they should have been: the same test images for every run."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from mmengine.dataset import default_collate
from PIL import Image
from torch import Tensor, nn

from multimae.data.folder import MultiModalFolder
from multimae.data.maps import Sample
from multimae.evaluation.scorer import predict
from multimae.pictures.colours import Picture, rgb_picture
from multimae.record.result import SamplePictures
from multimae.record.spool import Spool
from multimae.shapes import Float

NUM_PICTURES = 4
WIDTH = 192


class Drawing(NamedTuple):
    """A picture; one whose colours mean classes must not mix them when it is shrunk."""

    picture: Picture
    of_classes: bool = False


@runtime_checkable
class Draw(Protocol):
    """Draw what a model makes of one sample; `batch` holds it alone, `job` is the config's part of that name."""

    def __call__(self, model: Any, sample: Sample, batch: dict[str, Any], *, job: Any) -> dict[str, Drawing]: ...


def save_predictions(model: nn.Module, job: Any, *, draw: Draw, artifacts: Path, spool: Spool) -> list[SamplePictures]:
    """Write `artifacts/predictions/<name>/<what>.png`; return each image's name and paths in the run directory."""
    item = job.evaluations[0]
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    modalities = list(dict.fromkeys(["rgb", *described.pop("modalities")]))
    dataset = MultiModalFolder(**{**described, "limit": NUM_PICTURES, "modalities": modalities})
    model.eval()
    saved = []
    for index in range(len(dataset)):
        sample = dataset.read(index)
        with torch.no_grad():
            drawings = draw(model, sample, default_collate([dataset[index]]), job=job)
        paths = {}
        for what, drawing in drawings.items():
            path = artifacts / "predictions" / sample.name / f"{what}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _shrunk(drawing).save(path, optimize=True)
            paths[what] = str(path.relative_to(artifacts.parent))
            spool.write("artifact", path=paths[what], name=f"predictions/{sample.name}/{what}.png")
        saved.append(SamplePictures(name=sample.name, images=paths))
    return saved


def seen(sample: Sample) -> dict[str, Drawing]:
    """Return the image itself, which every prediction is shown beside."""
    return {"rgb": Drawing(rgb_picture(sample.maps["rgb"].float() / 255))}


def predicted_content(model: nn.Module, batch: dict[str, Any], *, job: Any) -> Float[Tensor, "outputs height width"]:
    """Return what is predicted of the one sample of a batch, what was padded cut off."""
    rows, columns = batch["meta"]["content_hw"][0].tolist()
    prediction = predict(model, batch, item=job.evaluations[0], target=job.get("target", ""))[0]
    return prediction.cpu()[:, :rows, :columns]


def _shrunk(drawing: Drawing) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(drawing.picture))
    if image.width <= WIDTH:
        return image
    resample = Image.Resampling.NEAREST if drawing.of_classes else Image.Resampling.BOX
    return image.resize((WIDTH, round(image.height * WIDTH / image.width)), resample)

"""Draw a pre-training's outputs: what they should be, what of it was visible, and what was predicted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.data.labels import label_code
from multimae.data.maps import Sample
from multimae.data.spec import DatasetSpec
from multimae.evaluation.reconstruction import MASK_SEED
from multimae.layers import Grid
from multimae.masking import Masking
from multimae.pictures.colours import Picture, depth_picture, displayed, labels_picture, rgb_picture
from multimae.pictures.predictions import Drawing
from multimae.pretraining import MultiMAEPretraining
from multimae.tables.modalities import MODALITIES, modality

HIDDEN = 128
LABELS = tuple(name for name, facts in MODALITIES.items() if facts.kind == "labels")


def draw_reconstructions(
    model: MultiMAEPretraining, sample: Sample, batch: dict[str, Any], *, job: Any
) -> dict[str, Drawing]:
    """Draw, per output, what it should be, what of it was visible, and the prediction at hidden places."""
    data = model.data_preprocessor(batch, False)
    available: Mapping[str, Tensor] = data["meta"].get("available", {})
    generator = torch.Generator().manual_seed(MASK_SEED)
    result = model.reconstruct(data["inputs"], available=available, generator=generator)
    known: Mapping[str, Tensor] = {**data["inputs"], **data["targets"]}
    drawings: dict[str, Drawing] = {}
    for name, prediction in result.predictions.items():
        target = known.get(name)
        # norm_rgb: normalised patches are no picture. What stands in for a missing modality is none either.
        if target is None or not bool(available.get(name, torch.ones(1)).all()):
            continue
        hidden = _hidden(result.masking, name=name, grid=result.grid, size=tuple(target.shape[-2:]))
        truth, guess = target[0].cpu(), prediction[0].cpu()
        whole = _draw(name, truth, scale_of=truth, spec=sample.spec)
        predicted = _draw(name, guess.argmax(dim=0) if name in LABELS else guess, scale_of=truth, spec=sample.spec)
        masked = np.where(hidden[..., None], np.uint8(HIDDEN), whole)
        filled = np.where(hidden[..., None], predicted, whole)
        pictures = {name: whole, f"{name}_masked": masked, f"{name}_prediction": filled}
        drawings |= {what: Drawing(picture, of_classes=name in LABELS) for what, picture in pictures.items()}
    return drawings


def _hidden(masking: Masking, *, name: str, grid: Grid, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where an output's target is hidden: everywhere if the encoder does not read it."""
    masks = masking.split()
    if name not in masks:
        return np.ones(size, dtype=np.bool_)
    mask = masks[name][0].cpu().view(1, 1, *grid).float()
    enlarged: NDArray[np.bool_] = F.interpolate(mask, size=list(size), mode="nearest")[0, 0].bool().numpy()
    return enlarged


def _draw(name: str, values: Tensor, *, scale_of: Tensor, spec: DatasetSpec) -> Picture:
    facts = modality(name)
    if facts.kind == "depth":
        return depth_picture(values[0], scale_of=scale_of[0])
    if facts.kind == "labels":
        return labels_picture(values, code=label_code(name, spec=spec))
    return rgb_picture(displayed(name, values))

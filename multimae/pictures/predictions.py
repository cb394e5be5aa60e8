"""A few predictions as pictures beside what they should have been: the same test images for every run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from mmengine.dataset import default_collate
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.data.folder import MultiModalFolder
from multimae.data.labels import LabelCode, label_code
from multimae.data.maps import Sample
from multimae.data.spec import DatasetSpec
from multimae.evaluation.evaluate import predict
from multimae.evaluation.reconstruction import MASK_SEED
from multimae.layers import Grid
from multimae.masking import Masking
from multimae.pretraining import MultiMAEPretraining
from multimae.record.result import Drawing
from multimae.record.spool import Spool
from multimae.shapes import Float
from multimae.tables.modalities import MODALITIES, modality

NUM_PICTURES = 4
WIDTH = 192
UNLABELLED = (0, 0, 0)
HIDDEN = 128
LABELS = tuple(name for name, facts in MODALITIES.items() if facts.kind == "labels")
COLOUR_MAP = "viridis"
Picture = NDArray[np.uint8]


def save_predictions(model: nn.Module, job: Any, *, folder: Path, spool: Spool) -> list[Drawing]:
    """Write `folder/<name>/<what>.png` and return, per image, its name and the paths relative to the run directory."""
    item = job.evaluations[0]
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    modalities = list(dict.fromkeys(["rgb", *described.pop("modalities")]))
    dataset = MultiModalFolder(**{**described, "limit": NUM_PICTURES, "modalities": modalities})
    model.eval()
    saved = []
    for index in range(len(dataset)):
        sample = dataset.read(index)
        with torch.no_grad():
            pictures = _pictures(model, sample, default_collate([dataset[index]]), job=job)
        paths = {}
        for what, picture in pictures.items():
            path = folder / sample.name / f"{what}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _shrunk(picture, resample=_resampling(what, kind=job.kind)).save(path, optimize=True)
            paths[what] = str(path.relative_to(folder.parents[1]))
            spool.write("artifact", path=paths[what], name=f"predictions/{sample.name}/{what}.png")
        saved.append(Drawing(name=sample.name, images=paths))
    return saved


def _pictures(model: nn.Module, sample: Sample, batch: dict[str, Any], *, job: Any) -> dict[str, Picture]:
    if isinstance(model, MultiMAEPretraining):
        return _reconstructions(model, batch, spec=sample.spec)
    pictures = {"rgb": _rgb(sample.maps["rgb"].float() / 255)}
    rows, columns = batch["meta"]["content_hw"][0].tolist()
    # Only the content of a padded prediction.
    prediction = predict(model, batch, item=job.evaluations[0], target=job.get("target", ""))[0]
    prediction = prediction.cpu()[:, :rows, :columns]
    if job.kind == "regression":
        return pictures | _domains(prediction, targets=batch["targets"], name=job.target)
    return pictures | _maps(_enlarged(prediction, size=sample.height_width), sample, kind=job.kind)


def _maps(prediction: Tensor, sample: Sample, *, kind: str) -> dict[str, Picture]:
    """Draw predicted classes or depth beside the true ones, and the depth where classes may have been read off it."""
    if kind == "semseg":
        truth, code = sample.maps["semseg"][0].long() - 1, label_code("semseg", spec=sample.spec)
        pictures = {
            "target": _labels(truth, code=code),
            "prediction": _labels(prediction.argmax(dim=0), code=code),
        }
        if "depth" in sample.maps:
            pictures["depth"] = _depth(sample.maps["depth"][0].float(), scale_of=sample.maps["depth"][0].float())
        return pictures
    truth = sample.maps["depth"][0].float()
    millimetres = prediction[0] * sample.spec.depth_std_mm + sample.spec.depth_mean_mm
    return {"target": _depth(truth, scale_of=truth), "prediction": _depth(millimetres, scale_of=truth)}


def _domains(prediction: Tensor, *, targets: Mapping[str, Tensor], name: str) -> dict[str, Picture]:
    """Draw a predicted domain beside the true one, which is black where it is not valid."""
    truth, valid = targets["target"][0], targets["mask_valid"][0]
    guess = _enlarged(prediction, size=tuple(truth.shape[-2:]))
    range_ = _value_range(truth[valid.expand_as(truth)])
    target, predicted = (_domain(values, name=name, range_=range_) for values in (truth, guess))
    return {"target": np.where(valid[0].numpy()[..., None], target, np.uint8(0)), "prediction": predicted}


def _domain(values: Float[Tensor, "channels height width"], *, name: str, range_: tuple[float, float]) -> Picture:
    """Draw normals as they look, one channel as colours over a range, and two as red and green over it."""
    if modality(name).kind == "normals":
        return _rgb(values)
    shares = share_of_range(values, near_far=range_)
    return _coloured(shares[0]) if len(shares) == 1 else _rgb(F.pad(shares, (0, 0, 0, 0, 0, 3 - len(shares))))


def _value_range(values: Float[Tensor, " values"]) -> tuple[float, float]:
    # Of edges and keypoints nearly all pixels are nearly 0: the few that are not must not be cut.
    return (float(values.min()), float(values.max())) if values.numel() else (0.0, 1.0)


def _enlarged(maps: Float[Tensor, "channels _ _"], *, size: tuple[int, ...]) -> Float[Tensor, "channels height width"]:
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def _reconstructions(model: MultiMAEPretraining, batch: dict[str, Any], *, spec: DatasetSpec) -> dict[str, Picture]:
    """Draw, per output, what it should be, what of it was visible, and the prediction at hidden places."""
    data = model.data_preprocessor(batch, False)
    available: Mapping[str, Tensor] = data["meta"].get("available", {})
    generator = torch.Generator().manual_seed(MASK_SEED)
    result = model.reconstruct(data["inputs"], available=available, generator=generator)
    known: Mapping[str, Tensor] = {**data["inputs"], **data["targets"]}
    pictures: dict[str, Picture] = {}
    for name, prediction in result.predictions.items():
        target = known.get(name)
        # norm_rgb: normalised patches are no picture. What stands in for a missing modality is none either.
        if target is None or not bool(available.get(name, torch.ones(1)).all()):
            continue
        hidden = _hidden(result.masking, name=name, grid=result.grid, size=tuple(target.shape[-2:]))
        truth, guess = target[0].cpu(), prediction[0].cpu()
        whole = _draw(name, truth, scale_of=truth, spec=spec)
        predicted = _draw(name, guess.argmax(dim=0) if name in LABELS else guess, scale_of=truth, spec=spec)
        pictures[name] = whole
        pictures[f"{name}_masked"] = np.where(hidden[..., None], np.uint8(HIDDEN), whole)
        pictures[f"{name}_prediction"] = np.where(hidden[..., None], predicted, whole)
    return pictures


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
        return _depth(values[0], scale_of=scale_of[0])
    return (
        _labels(values, code=label_code(name, spec=spec)) if facts.kind == "labels" else _rgb(displayed(name, values))
    )


def displayed(name: str, values: Float[Tensor, "*batch _ height width"]) -> Float[Tensor, "*batch 3 height width"]:
    """Turn an image or normals from a model's units into red, green and blue, 0 to 1 where they are in range."""
    facts = modality(name)
    if facts.kind == "normals":
        return (values + 1) / 2
    mean, std = (torch.tensor(numbers, device=values.device)[:, None, None] for numbers in (facts.mean, facts.std))
    shape = (*values.shape[:-3], 3, *values.shape[-2:])
    return (values * std + mean).expand(shape)


def _rgb(values: Tensor) -> Picture:
    # [3, height, width] in 0..1 -> [height, width, 3]
    picture: Picture = (values.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return picture


def _labels(labels: Tensor, *, code: LabelCode) -> Picture:
    colours = np.array([*code.palette, UNLABELLED], dtype=np.uint8)
    known = (labels >= 0) & (labels < code.num_classes)
    picture: Picture = colours[torch.where(known, labels, code.num_classes).numpy()]
    return picture


def _depth(values: Tensor, *, scale_of: Tensor) -> Picture:
    """Colour depth from near (dark) to far over the range of `scale_of`, so that prediction and truth compare."""
    return _coloured(share_of_range(values, near_far=depth_range(scale_of)))


def _coloured(shares: Float[Tensor, "height width"]) -> Picture:
    picture: Picture = matplotlib.colormaps[COLOUR_MAP](shares.numpy(), bytes=True)[..., :3]
    return picture


def depth_range(depth: Tensor) -> tuple[float, float]:
    """Return the values between which depth is coloured; the few beyond them take the end's colour."""
    return float(depth.quantile(0.02)), float(depth.quantile(0.98))


def share_of_range(values: Float[Tensor, "*size"], *, near_far: tuple[float, float]) -> Float[Tensor, "*size"]:
    """Return how far towards the far end each value lies, 0 to 1."""
    near, far = near_far
    return ((values - near) / max(far - near, 1e-6)).clamp(0, 1)


def _resampling(what: str, *, kind: str) -> Image.Resampling:
    """Return how a picture may be shrunk: colours that mean classes must not be mixed."""
    of_labels = what.startswith(LABELS) or (kind == "semseg" and what in ("target", "prediction"))
    return Image.Resampling.NEAREST if of_labels else Image.Resampling.BOX


def _shrunk(picture: Picture, *, resample: Image.Resampling) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    if image.width <= WIDTH:
        return image
    return image.resize((WIDTH, round(image.height * WIDTH / image.width)), resample)

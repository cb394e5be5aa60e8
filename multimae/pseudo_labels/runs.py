"""Label with a network this project trained: a finished transfer run whose only input is RGB."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec, spec
from multimae.engine.failures import SettingsError
from multimae.engine.resume import load_checkpoint
from multimae.pseudo_labels.formats import (
    NUM_CODES_8_BIT,
    Array,
    HeightWidth,
    encode_classes,
    encode_millimetres,
    encode_normals,
    resize,
)
from multimae.pseudo_labels.labeller import Encoder, InputSize, Labeller, Normalisation
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.paths import RunDir
from multimae.registry import MODELS
from multimae.shapes import Float
from multimae.tables.modalities import IMAGENET_MEAN, IMAGENET_STD


def load_run(modality: str, *, settings: LabellingSettings, device: torch.device) -> Labeller:
    """Return the labeller of a run directory; it sees images with the shorter side the run was trained at."""
    run_dir = settings.sources[modality].folder
    config = Config.fromfile(RunDir(run_dir).config)
    _check_suits(config, modality=modality, run_dir=run_dir)
    facts = spec(config.job.dataset)
    return Labeller(
        modality=modality,
        unit=_UNITS[modality],
        network=_network(config, run_dir=run_dir, device=device),
        encode=_encoding(modality, facts=facts),
        input_size=InputSize(
            min_side=settings.min_side or config.train_dataloader.dataset.pipeline.size, max_side=settings.max_side
        ),
        normalisation=Normalisation(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        device=device,
        precision=settings.precision,
        classes=dict(enumerate(facts.classes, start=facts.first_label)) if modality == "semseg" else {},
    )


_UNITS = {
    "depth": "millimetres; 0 = invalid",
    "semseg": "class codes of the data set the network was trained on; it never says unlabelled",
    "normal": "round((n + 1) * 127.5) of unit normals; (0, 0, 0) = missing",
}


def _check_suits(config: Config, *, modality: str, run_dir: Path) -> None:
    predicts, inputs = config.job.get("target") or config.job.kind, list(config.model.backbone.modalities)
    if predicts != modality:
        raise SettingsError(f"the run {run_dir} was trained for {predicts}, wanted one for {modality}")
    if inputs != ["rgb"]:
        raise SettingsError(f"the run {run_dir} reads {inputs}, but only images are at hand: wanted one that reads rgb")


def _network(config: Config, *, run_dir: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    state = load_checkpoint(RunDir(run_dir).checkpoints)
    if state is None:
        raise DataError(f"{RunDir(run_dir).checkpoints} holds no checkpoint that can be read; train the run again")
    model: Any = MODELS.build(config.model)
    # Where a run reports its best weights, the checkpoint holds them, too.
    model.load_state_dict(state.get("best", {}).get("model") or state["model"])
    model.to(device).eval()

    def predict(pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels height width"]:
        maps: Tensor = model.predict_raw({"rgb": pixels})
        return maps

    return predict


def _encoding(modality: str, *, facts: DatasetSpec) -> Encoder:
    if modality == "depth":
        return partial(_encode_depth, mean_mm=facts.depth_mean_mm, std_mm=facts.depth_std_mm)
    if modality == "normal":
        return _encode_normals
    if facts.num_classes >= NUM_CODES_8_BIT:
        raise SettingsError(f"{facts.name} has {facts.num_classes} classes and unlabelled; 8 bits hold 256 codes")
    return partial(encode_classes, first_code=facts.first_label)


def _encode_depth(maps: Float[Tensor, "1 _ _"], *, to: HeightWidth, mean_mm: float, std_mm: float) -> Array:
    return encode_millimetres(resize(maps, to=to)[0] * std_mm + mean_mm)


def _encode_normals(maps: Float[Tensor, "3 _ _"], *, to: HeightWidth) -> Array:
    # A regression predicts the stored codes as shares of 255.
    return encode_normals(2 * resize(maps, to=to) - 1)

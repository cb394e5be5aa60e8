"""Label with networks of `transformers`: depth estimation, and universal or semantic segmentation."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multimae.data.sample import DataError
from multimae.engine.failures import SettingsError
from multimae.pseudo_labels.formats import (
    NUM_CODES_8_BIT,
    Array,
    HeightWidth,
    encode_classes,
    encode_millimetres,
    encode_relative,
    resize,
)
from multimae.pseudo_labels.labeller import Encoder, InputSize, Labeller, Normalisation
from multimae.pseudo_labels.settings import DepthOutput, LabellingSettings
from multimae.shapes import Float

# Of these parameters published checkpoints may hold no values, and nothing reads them: the first fusion adds nothing.
_NEVER_READ = "neck.fusion_stage.layers.0.residual_layer1."
_MASK_CLASSIFIERS = ("maskformer", "mask2former", "oneformer")
Network = Callable[[Tensor], Iterable[Tensor]]
DEPTH_UNITS: Mapping[DepthOutput, str] = {
    "metres": "millimetres; 0 = invalid",
    "relative": "depth up to scale and shift, each image spread over 1 (nearest) to 65535 (farthest); 0 = invalid",
    # Turned round, so that larger is farther in every depth map.
    "inverse": "inverse depth up to scale and shift, negated, each image spread over 1 (nearest) to 65535 (farthest); "
    "0 = invalid",
}


def load_pretrained(modality: str, *, settings: LabellingSettings, device: torch.device) -> Labeller:
    """Return the labeller of a folder that `transformers` saved, its image processor's settings included."""
    folder = settings.sources[modality].folder
    config = _config(folder)
    processor = _processor(folder)
    encode: Encoder
    classes: dict[int, str] = {}
    if modality == "depth":
        network = _depth_network(config, folder=folder, device=device)
        output = settings.depth_output or _depth_output(config, folder=folder)
        unit, encode = DEPTH_UNITS[output], partial(_encode_depth, output=output)
    elif modality == "semseg":
        classes = _classes(config, folder=folder)
        unit, encode = "class ids of the model as they are", partial(encode_classes, first_code=0)
        network = _segmentation_network(config, folder=folder, device=device)
    else:
        raise SettingsError(
            f"transformers has no kind of model for {modality}: name the run directory of a transfer that predicts it"
        )
    return Labeller(
        modality=modality,
        unit=unit,
        network=network,
        encode=encode,
        input_size=InputSize(
            min_side=settings.min_side or _own_side(processor, config=config),
            max_side=settings.max_side,
            multiple_of=_multiple(config),
        ),
        normalisation=_normalisation(processor, folder=folder),
        device=device,
        precision=settings.precision,
        classes=classes,
    )


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}/config.json describes no model that transformers knows: {error}") from error


def _processor(folder: Path) -> dict[str, Any]:
    """Return the settings of the image processor; read as JSON, since making some kinds of it downloads files."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            read = json.loads((folder / name).read_text())
            found: dict[str, Any] = read.get("image_processor", read)
            return found
    raise DataError(
        f"{folder} has no preprocessor_config.json, which says how images are normalised; save the model's image "
        "processor there, too"
    )


def _normalisation(processor: Mapping[str, Any], *, folder: Path) -> Normalisation:
    scale = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    if not processor.get("do_normalize", True):
        return Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale=scale)
    if "image_mean" not in processor or "image_std" not in processor:
        raise DataError(f"{folder}: its image processor names no image_mean and image_std; add them to its JSON")
    return Normalisation(mean=processor["image_mean"], std=processor["image_std"], scale=scale)


def _own_side(processor: Mapping[str, Any], *, config: Any) -> int:
    """Return the shorter side of the images the network was made for."""
    size = processor.get("size")
    if isinstance(size, Mapping):
        sides = [size[name] for name in ("shortest_edge", "height", "width") if name in size]
        if sides:
            return int(min(sides))
    return int(size or getattr(config, "image_size", None) or 384)


def _multiple(config: Any) -> int:
    """Return 32, which fits patches of 8, 16 and 32 and windows of 4, or else the network's patch."""
    patch = getattr(getattr(config, "backbone_config", None) or config, "patch_size", None)
    return 32 if not isinstance(patch, int) or 32 % patch == 0 else patch


def _load(auto_class: Any, *, folder: Path, device: torch.device) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model, report = auto_class.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    except Exception as error:  # safetensors, torch and transformers each have their own
        kind, said = type(error).__name__, str(error).splitlines()[0]
        raise DataError(f"{folder} cannot be loaded with {auto_class.__name__} ({kind}: {said})") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(_NEVER_READ))
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of the network's parameters, such as {missing[0]}: labels would be noise. "
            "Is it a checkpoint of another kind of model?"
        )
    return model.to(device).eval()


def _depth_output(config: Any, *, folder: Path) -> DepthOutput:
    """Say what a depth network predicts, by its architecture."""
    kind = config.model_type
    if kind in ("zoedepth", "glpn"):
        return "metres"
    if kind == "depth_anything":
        return "metres" if config.depth_estimation_type == "metric" else "inverse"
    backbone = getattr(config, "backbone_config", None)
    # MiDaS's networks; those with a DINOv2 backbone were trained for metres, or for anything.
    if kind == "dpt" and (backbone is None or backbone.model_type in ("bit", "beit", "swinv2")):
        return "inverse"
    raise SettingsError(
        f"{folder} ({kind}) does not say what it predicts: pass --depth-output metres, relative (depth up to scale and "
        "shift) or inverse (inverse depth up to scale and shift)"
    )


def _depth_network(config: Any, *, folder: Path, device: torch.device) -> Network:
    from transformers import AutoModelForDepthEstimation

    model = _load(AutoModelForDepthEstimation, folder=folder, device=device)
    own_vit = config.model_type == "dpt" and (config.is_hybrid or config.backbone_config is None)
    prepare = _any_shape(model) if own_vit else None

    def predict(pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 _ _"]:
        if prepare is not None:
            prepare(pixels)
        depth: Tensor = model(pixel_values=pixels).predicted_depth
        # [batch, height, width] -> [batch, 1, height, width]
        return depth[:, None]

    return predict


def _any_shape(model: Any) -> Callable[[Tensor], None]:
    """Teach a DPT with a ViT of its own images that are no squares; the result is called with each batch before it.

    Its neck takes the patch grid for a square unless it is told, which only its other backbones do; the hybrid refuses
    all sizes but one, though its position table is resized to any.
    """
    grid = [0, 0]

    def with_grid(_neck: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0], *grid)

    def prepare(pixels: Tensor) -> None:
        height, width = pixels.shape[-2:]
        grid[:] = (height // model.config.patch_size, width // model.config.patch_size)
        if model.config.is_hybrid:
            model.dpt.embeddings.image_size = (height, width)

    model.neck.register_forward_pre_hook(with_grid)
    return prepare


def _encode_depth(maps: Float[Tensor, "1 _ _"], *, to: HeightWidth, output: DepthOutput) -> Array:
    depth = resize(maps, to=to)[0]
    if output == "metres":
        return encode_millimetres(depth * 1000)
    return encode_relative(depth, larger_is="farther" if output == "relative" else "nearer")


def _classes(config: Any, *, folder: Path) -> dict[int, str]:
    classes = {int(code): str(name) for code, name in sorted(config.id2label.items())}
    if max(classes) >= NUM_CODES_8_BIT:
        raise SettingsError(f"{folder} has {len(classes)} classes; labels are 8-bit PNGs, which hold 256")
    return classes


def _segmentation_network(config: Any, *, folder: Path, device: torch.device) -> Network:
    from transformers import AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation

    if config.model_type not in _MASK_CLASSIFIERS:
        pixelwise = _load(AutoModelForSemanticSegmentation, folder=folder, device=device)
        return lambda pixels: pixelwise(pixel_values=pixels).logits
    model = _load(AutoModelForUniversalSegmentation, folder=folder, device=device)
    task = _task_tokens(config, folder=folder, device=device)

    def predict(pixels: Float[Tensor, "batch 3 height width"]) -> Iterator[Float[Tensor, "classes height width"]]:
        further = {} if task is None else {"task_inputs": task.expand(len(pixels), -1)}
        outputs = model(pixel_values=pixels, **further)
        # One image at a time: all queries' masks at the size of the input are many times the size of the image.
        for classes, masks in zip(outputs.class_queries_logits, outputs.masks_queries_logits, strict=True):
            resized = resize(masks.float(), to=(pixels.shape[-2], pixels.shape[-1]))
            yield _class_scores(classes.float(), masks=resized)

    return predict


def _class_scores(
    classes: Float[Tensor, "queries one_more"], *, masks: Float[Tensor, "queries height width"]
) -> Float[Tensor, "classes height width"]:
    """Return MaskFormer's semantic inference (Cheng et al. 2021, section 3.4); the last class is "no object".

    In float32 whatever the network runs in: in 8 bits many classes would score alike.
    """
    with torch.autocast(masks.device.type, enabled=False):
        return torch.einsum("qc,qhw->chw", classes.softmax(dim=-1)[:, :-1], masks.sigmoid())


def _task_tokens(config: Any, *, folder: Path, device: torch.device) -> Tensor | None:
    """Return the words that ask OneFormer for semantic segmentation; other networks are not asked."""
    if config.model_type != "oneformer":
        return None
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: OneFormer needs its tokenizer's files there, too: {error}") from error
    padding = {"padding": "max_length", "max_length": config.task_seq_len, "truncation": True}
    words = tokenizer("the task is semantic", return_tensors="pt", **padding)
    # As its processor does: padding has the number 0, whatever the tokenizer's.
    tokens: Tensor = words.input_ids * words.attention_mask
    return tokens.to(device)

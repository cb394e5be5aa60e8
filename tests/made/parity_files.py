"""Numbers of the reference implementation in a folder, and our models built from what the files themselves say.

Sizes come from the parameters' shapes, which cannot lie; from the metadata comes only what shapes do not show.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from multimae.backbone import MultiMAE
from multimae.checkpoints.formats import from_reference
from multimae.pretraining import MultiMAEPretraining
from multimae.tables.modalities import modality
from multimae.transfer import MultiMAETransfer

PARITY_DIR = Path(os.environ.get("MULTIMAE_PARITY_DIR", Path(__file__).parents[1] / "parity"))


class Fixture(NamedTuple):
    config: dict[str, Any]
    tensors: dict[str, Tensor]

    def group(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(f"{prefix}/"): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(f"{prefix}/")
        }


def load(path: Path) -> Fixture:
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        return Fixture(config=config, tensors={name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def files_of(kind: str, *, suffix: str = "safetensors", holding: str = "") -> list[Any]:
    """List the files of a kind, those with tensors `holding` something, as parameters.

    An empty list would silently test nothing: it is skipped with a reason.
    """
    paths = [path for path in sorted(PARITY_DIR.glob(f"{kind}*.{suffix}")) if not holding or _holds(path, holding)]
    skip = pytest.mark.skip(reason=f"{PARITY_DIR} holds no {kind} file {holding and f'with {holding}'}".rstrip())
    return [pytest.param(path, id=path.stem) for path in paths] or [pytest.param(None, id="none", marks=skip)]


def _holds(path: Path, group: str) -> bool:
    with safe_open(path, framework="pt") as file:
        return any(name.startswith(f"{group}/") for name in file.keys())  # noqa: SIM118


def close(actual: Tensor, expected: Tensor, *, tolerance: float = 1e-5) -> None:
    """Compare relative to the largest absolute value expected."""
    scale = float(expected.abs().max()) or 1.0
    torch.testing.assert_close(actual.float(), expected.float(), rtol=0, atol=tolerance * scale)


def backbone_config(fixture: Fixture) -> dict[str, Any]:
    config, params = fixture.config, fixture.group("param")
    first = config["modalities"][0]
    table, weight = params[f"input_adapters.{first}.pos_emb"], params[f"input_adapters.{first}.proj.weight"]
    patch_size = weight.shape[-1] * modality(first).stride_level
    _, num_global, dim = params["global_tokens"].shape
    embedding = params.get("input_adapters.semseg.class_emb.weight", torch.empty(config["semseg_classes"], 1))
    return {
        "type": "multimae.MultiMAE",
        "modalities": config["modalities"],
        "image_size": table.shape[-1] * patch_size,
        "patch_size": patch_size,
        "dim": dim,
        "depth": num_blocks(params, prefix="encoder"),
        "num_heads": config["heads"],
        "mlp_ratio": params["encoder.0.mlp.fc1.bias"].numel() / dim,
        "num_global_tokens": num_global,
        "num_semseg_classes": config["semseg_classes"],
        "semseg_padding": "extra_class" if len(embedding) > config["semseg_classes"] else "none",
        "dim_class_emb": embedding.shape[1],
    }


def num_blocks(params: dict[str, Tensor], *, prefix: str) -> int:
    return len({found[1] for name in params if (found := re.match(rf"{re.escape(prefix)}\.(\d+)\.", name))})


def encoder(fixture: Fixture) -> MultiMAE:
    model = MultiMAE(**{key: value for key, value in backbone_config(fixture).items() if key != "type"})
    model.load_state_dict(fixture.group("param"))
    return model.eval()


def pretraining(fixture: Fixture) -> MultiMAEPretraining:
    config, params = fixture.config, fixture.group("param")
    first = f"output_adapters.{config['outputs'][0]}"
    # Which modalities the decoders know besides the inputs is not in the metadata, but in the parameters' names.
    known = {name.split("task_embeddings.")[1] for name in params if "task_embeddings." in name}
    model = MultiMAEPretraining(
        backbone=backbone_config(fixture),
        outputs=config["outputs"],
        decoder_dim=params[f"{first}.mask_token"].shape[-1],
        decoder_depth=num_blocks(params, prefix=f"{first}.decoder_transformer"),
        decoder_heads=config["dec_heads"],
        context_modalities=sorted(known),
    )
    model.load_state_dict(from_reference(params))
    return model.eval()


def transfer(fixture: Fixture) -> MultiMAETransfer:
    config, params = fixture.config, fixture.group("param")
    head = {name.split(".", 2)[2]: tensor for name, tensor in params.items() if name.startswith("output_adapters.")}
    dim = params["global_tokens"].shape[-1]
    own = head_config(config, head=head)
    # Only the number of modalities the head reads shows in the shapes: without a word they are the first.
    num_main = main_channels(head) // dim
    main = config.get("main_modalities", config["modalities"][:num_main])
    model = MultiMAETransfer(backbone=backbone_config(fixture), head=own, loss="cross_entropy", main_modalities=main)
    model.load_state_dict(from_reference(params))
    return model.eval()


def main_channels(head: dict[str, Tensor]) -> int:
    """Return how many channels of each place a head reads."""
    first = next(name for name in ("proj_dec.weight", "act_1_postprocess.0.weight", "norm.weight") if name in head)
    return head[first].shape[-1] if first != "act_1_postprocess.0.weight" else head[first].shape[1]


def head_config(config: dict[str, Any], *, head: dict[str, Tensor]) -> dict[str, Any]:
    """Read a head's settings off its parameters' names (below `output_adapters.<task>`) and shapes."""
    blocks = num_blocks(head, prefix="blocks")
    if "cls_emb" in head:
        sizes = {"decoder_dim": head["cls_emb"].shape[-1], "depth": blocks, "num_heads": config["heads"]}
        return {"type": "segmenter", "num_outputs": head["cls_emb"].shape[1], **sizes}
    if "final_layer.weight" in head:
        token_dim, sub_dim = head["proj_dec.weight"].shape[0], head["final_layer.weight"].shape[1]
        sizes = {"token_dim": token_dim, "num_sub_tokens": token_dim // sub_dim, "depth": blocks}
        return {"type": "convnext", "num_outputs": head["final_layer.bias"].numel(), **sizes}
    if "norm.weight" in head:
        pool = "global" if "global" in config["head"] else "mean"
        return {"type": "linear", "num_outputs": head["head.bias"].numel(), "pool": pool}
    return {
        "type": "dpt",
        "num_outputs": head[max(name for name in head if name.startswith("head.") and name.endswith("bias"))].numel(),
        "task": config["head"].removeprefix("head_dpt_"),
        "hooks": config["hooks"],
        "layer_dims": [head[f"act_{level}_postprocess.0.bias"].numel() for level in (1, 2, 3, 4)],
        "feature_dim": head["scratch.layer1_rn.weight"].shape[0],
    }


def hidden(fixture: Fixture) -> dict[str, Tensor]:
    return {name: mask.bool() for name, mask in fixture.group("mask").items()}

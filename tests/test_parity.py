"""Numbers of the reference implementation: every file of MULTIMAE_PARITY_DIR, built from its own metadata."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from multimae.backbone import MultiMAE
from multimae.checkpoints import from_reference, to_reference
from multimae.layers import sincos_positions
from multimae.losses import berhu, masked_l1, masked_mse
from multimae.pretraining import MultiMAEPretraining
from multimae.transfer import MultiMAETransfer

PARITY_DIR = Path(os.environ.get("MULTIMAE_PARITY_DIR", Path(__file__).parent / "parity"))
NOT_BUILT_YET = {
    "head_linear": "the linear head comes with the classification task",
    "head_linear_global_token": "the linear head comes with the classification task",
    "head_segmenter": "the Segmenter head comes with its recipe",
}


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


def files_of(kind: str) -> list[Any]:
    """List the files of a kind as parameters; an empty list would silently test nothing."""
    paths = sorted(path for path in PARITY_DIR.glob("*.safetensors") if path.stem.startswith(kind))
    skip = pytest.mark.skip(reason=f"{PARITY_DIR} holds no {kind} file")
    return [pytest.param(path, id=path.stem) for path in paths] or [pytest.param(None, id="none", marks=skip)]


def close(actual: Tensor, expected: Tensor, *, tolerance: float = 1e-5) -> None:
    """Compare relative to the largest absolute value expected."""
    scale = float(expected.abs().max()) or 1.0
    torch.testing.assert_close(actual.float(), expected.float(), rtol=0, atol=tolerance * scale)


def backbone_config(fixture: Fixture) -> dict[str, Any]:
    config = fixture.config
    return {
        "type": "multimae.MultiMAE",
        "modalities": config["modalities"],
        "image_size": config["image_size"],
        "patch_size": config.get("patch_size", 16),
        "dim": config["dim"],
        "depth": config["depth"],
        "num_heads": config["heads"],
        "num_global_tokens": config["global_tokens"],
        "num_semseg_classes": config["semseg_classes"],
        "dim_class_emb": config["dim_class_emb"],
    }


def pretraining(fixture: Fixture) -> MultiMAEPretraining:
    config, params = fixture.config, fixture.group("param")
    # Which modalities the decoders know besides the inputs is not in the metadata, but in the parameters' names.
    known = {name.split("task_embeddings.")[1] for name in params if "task_embeddings." in name}
    model = MultiMAEPretraining(
        backbone=backbone_config(fixture),
        outputs=config["outputs"],
        decoder_dim=config["dec_dim"],
        decoder_depth=config["dec_depth"],
        decoder_heads=config["dec_heads"],
        num_visible_tokens=config["num_encoded_tokens"],
        context_modalities=sorted(known),
    )
    model.load_state_dict(from_reference(params))
    return model.eval()


def head_config(fixture: Fixture) -> dict[str, Any]:
    config = fixture.config
    if config["head"] == "head_convnext":
        # The number of blocks is not in the metadata, but in the parameters' names.
        blocks = {name.split("blocks.")[1].split(".")[0] for name in fixture.group("param") if ".blocks." in name}
        sizes = {"token_dim": config["convnext_dim"], "depth": len(blocks)}
        return {"type": "multimae.ConvNeXtHead", "num_outputs": config["num_classes"], **sizes}
    return {
        "type": "multimae.DPTHead",
        "num_outputs": config["num_classes"],
        "task": config["head"].removeprefix("head_dpt_"),
        "hooks": config["hooks"],
        "layer_dims": config["layer_dims"],
        "feature_dim": config["feature_dim"],
    }


def hidden(fixture: Fixture) -> dict[str, Tensor]:
    return {name: mask.bool() for name, mask in fixture.group("mask").items()}


@pytest.mark.parametrize("path", files_of("pretrain"))
def test_reconstructions(path: Path) -> None:
    fixture = load(path)
    with torch.no_grad():
        actual = pretraining(fixture).reconstruct(fixture.group("input"), masks=hidden(fixture))
    expected = fixture.group("output")
    assert set(actual.predictions) == set(expected)
    for name in expected:
        close(actual.predictions[name], expected[name])


@pytest.mark.parametrize("path", files_of("pretrain"))
def test_pretraining_losses_and_gradients(path: Path) -> None:
    fixture = load(path)
    expected = fixture.group("loss")
    if not expected:
        pytest.skip(f"{path.name} holds no losses")
    model = pretraining(fixture)
    losses = model.loss(fixture.group("input"), masks=hidden(fixture))
    total = torch.stack(list(losses.values())).sum()
    assert {"total", *(name.removeprefix("loss_") for name in losses)} == set(expected)
    close(total, expected["total"])
    for name in losses:
        close(losses[name], expected[name.removeprefix("loss_")])

    total.backward()
    gradients = to_reference({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    expected_gradients = fixture.group("grad")
    assert not expected_gradients or set(gradients) == set(expected_gradients)
    for name, gradient in expected_gradients.items():
        close(gradients[name], gradient, tolerance=1e-4)


@pytest.mark.parametrize("path", files_of("encoder"))
def test_tokens_after_every_block(path: Path) -> None:
    fixture = load(path)
    model = MultiMAE(**{key: value for key, value in backbone_config(fixture).items() if key != "type"})
    model.load_state_dict(fixture.group("param"))
    with torch.no_grad():
        layers = model.forward_layers(fixture.group("input")).layers
    expected = fixture.group("output")
    assert len(layers) == len(expected)
    for index, layer in enumerate(layers):
        close(layer, expected[f"layer{index}"])


@pytest.mark.parametrize("path", files_of("head"))
def test_heads(path: Path) -> None:
    fixture = load(path)
    if fixture.config["head"] in NOT_BUILT_YET:
        pytest.skip(NOT_BUILT_YET[fixture.config["head"]])
    model = MultiMAETransfer(backbone=backbone_config(fixture), head=head_config(fixture), loss="cross_entropy").eval()
    params = fixture.group("param")
    model.load_state_dict(from_reference(params))
    assert set(to_reference(model.state_dict(), task="y")) == set(params)
    with torch.no_grad():
        close(model(fixture.group("input")), fixture.tensors["output/y"])


@pytest.mark.parametrize("path", files_of("depth_metrics"))
def test_depth_losses(path: Path) -> None:
    tensors = load(path).tensors
    for name, loss in {"berhu": berhu, "l1": masked_l1, "mse": masked_mse}.items():
        close(loss(tensors["pred"], target=tensors["target"], valid=tensors["valid"]), tensors[f"loss/{name}"])


@pytest.mark.parametrize("path", [*files_of("pretrain"), *files_of("encoder"), *files_of("head")])
def test_tables_of_positions(path: Path) -> None:
    tables = {name: table for name, table in load(path).group("param").items() if name.endswith("pos_emb")}
    assert tables
    for table in tables.values():
        _, dim, size, _ = table.shape
        close(sincos_positions(dim=dim, size=size), table)


def test_every_file_is_of_a_known_kind() -> None:
    kinds = ("pretrain", "encoder", "head", "depth_metrics")
    unknown = [path.name for path in PARITY_DIR.glob("*.safetensors") if not path.stem.startswith(kinds)]
    assert not unknown, f"no parity test reads {unknown}"

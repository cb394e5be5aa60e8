"""Numbers of the reference implementation: every file of MULTIMAE_PARITY_DIR, built from what it says itself."""

from pathlib import Path

import pytest
import torch

from multimae.checkpoints.formats import to_reference
from multimae.data.transforms import standardize_depth
from multimae.evaluation.depth import DepthMetric, paper_depth_scores
from multimae.layers import sincos_positions
from multimae.losses import berhu, masked_l1, masked_mse
from tests.made.parity_files import PARITY_DIR, close, encoder, files_of, hidden, load, pretraining, transfer

PADDING = 254
# Ours to the reference's names and units: it reports shares, millimetres, and calls the root mean square of
# differences of natural logarithms log10.
SCORES = {
    "delta1": ("delta_1", 100),
    "delta2": ("delta_2", 100),
    "delta3": ("delta_3", 100),
    "rel": ("rel", 1),
    "srel": ("srel", 1e-3),
    "rmse": ("rmse", 1e-3),
    "rmse_log": ("log10", 1),
}


@pytest.mark.parametrize("path", files_of("pretrain"))
def test_reconstructions(path: Path) -> None:
    fixture = load(path)
    with torch.no_grad():
        actual = pretraining(fixture).reconstruct(fixture.group("input"), masks=hidden(fixture))
    expected = fixture.group("output")
    assert set(actual.predictions) == set(expected)
    for name in expected:
        close(actual.predictions[name], expected[name])


@pytest.mark.parametrize("path", files_of("pretrain", holding="loss"))
def test_pretraining_losses_and_gradients(path: Path) -> None:
    fixture = load(path)
    model, expected = pretraining(fixture), fixture.group("loss")
    losses = model.loss(fixture.group("input"), targets=fixture.group("target"), masks=hidden(fixture))
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
    with torch.no_grad():
        layers = encoder(fixture).forward_layers(fixture.group("input")).layers
    expected = fixture.group("output")
    assert len(layers) == len(expected)
    for index, layer in enumerate(layers):
        close(layer, expected[f"layer{index}"])


@pytest.mark.parametrize("path", files_of("head"))
def test_heads(path: Path) -> None:
    fixture = load(path)
    model, inputs = transfer(fixture), fixture.group("input")
    assert set(to_reference(model.state_dict(), task="y")) == set(fixture.group("param"))
    exact = {name: map_.double() if map_.is_floating_point() else map_ for name, map_ in inputs.items()}
    with torch.no_grad():
        # The Segmenter divides cosines by their spread over the classes, which can be tiny: rounding grows with it.
        close(model(inputs), fixture.tensors["output/y"], tolerance=5e-5)
        close(model.double()(exact), fixture.tensors["output/y"])


@pytest.mark.parametrize("path", files_of("depth_metrics"))
def test_depth_losses(path: Path) -> None:
    tensors = load(path).tensors
    for name, loss in {"berhu": berhu, "l1": masked_l1, "mse": masked_mse}.items():
        close(loss(tensors["pred"], target=tensors["target"], valid=tensors["valid"]), tensors[f"loss/{name}"])


@pytest.mark.parametrize("path", files_of("depth_metrics"))
def test_depth_scores(path: Path) -> None:
    fixture = load(path)
    mean, std, tensors = float(fixture.config["nyu_mean"]), float(fixture.config["nyu_std"]), fixture.tensors
    metric = DepthMetric(depth_mean_mm=mean, depth_std_mm=std, protocol="paper")
    targets = {"depth": tensors["target"], "mask_valid": tensors["valid"]}
    metric.process({"inputs": {}, "targets": targets, "meta": {}}, list(tensors["pred"]))
    prediction, target = (tensors[name][tensors["valid"]].double() * std + mean for name in ("pred", "target"))
    theirs = fixture.group("metric")
    assert {name for name, _ in SCORES.values()} == set(theirs)
    expected = {ours: unit * theirs[name].item() for ours, (name, unit) in SCORES.items()}
    assert metric.evaluate(len(tensors["pred"])) == pytest.approx(expected, rel=1e-5)
    assert paper_depth_scores(prediction, target=target) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("path", files_of("depth_metrics"))
def test_standardised_depth(path: Path) -> None:
    tensors = load(path).tensors
    maps, expected = (tensors[f"standardize/{name}"] for name in ("input", "output"))
    assert (maps == PADDING).any()
    # [..., height, width] -> [maps, height, width]: each is standardised by itself
    for map_, standardised in zip(*(item[None].flatten(0, -3) for item in (maps, expected)), strict=True):
        close(standardize_depth(map_, known=map_ != PADDING), standardised)


@pytest.mark.parametrize("path", [*files_of("pretrain"), *files_of("encoder"), *files_of("head")])
def test_tables_of_positions(path: Path) -> None:
    tables = {name: table for name, table in load(path).group("param").items() if name.endswith("pos_emb")}
    assert tables
    for table in tables.values():
        _, dim, size, _ = table.shape
        close(sincos_positions(dim=dim, size=size), table)


def test_every_file_is_of_a_known_kind() -> None:
    kinds = {
        ".safetensors": ("pretrain", "encoder", "head", "depth_metrics"),
        ".json": ("layer_decay_groups", "masking_statistics"),
    }
    of_concern = [path for path in PARITY_DIR.iterdir() if path.suffix in kinds]
    unknown = [path.name for path in of_concern if not path.stem.startswith(kinds[path.suffix])]
    assert of_concern
    assert not unknown, f"no parity test reads {unknown}"

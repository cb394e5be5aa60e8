"""Heads beyond what every transfer shares: pooling, class tokens, first weights, errors; all sizes build."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from multimae.layers import EncoderOutput, Grid
from multimae.pretraining import MultiMAEPretraining
from multimae.registry import MODELS
from multimae.tables.sizes import SIZES
from multimae.testing import HeadContract
from multimae.transfer import MultiMAETransfer

BACKBONE = {
    "type": "multimae.MultiMAE",
    "modalities": ["rgb", "depth"],
    "image_size": 64,
    "dim": 32,
    "depth": 4,
    "num_heads": 4,
}
SEGMENTER = {"type": "multimae.segmenter", "decoder_dim": 24, "num_heads": 4}
DPT = {"hooks": (0, 1, 2, 3), "layer_dims": (8, 8, 8, 8), "feature_dim": 8}


def encoded(*, num_global: int = 2, grid: Grid = Grid(3, 2), main: tuple[str, ...] = ("rgb",)) -> EncoderOutput:  # noqa: B008
    layers = tuple(torch.randn(2, 2 * grid.num_tokens + num_global, 32) for _ in range(2))
    return EncoderOutput(
        layers=layers, modalities=("rgb", "depth"), out_modalities=main, grid=grid, num_global_tokens=num_global
    )


def head(kind: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build({"type": kind, "dim": 32, "num_main": 1, "num_outputs": 5, **changes}).eval()


def transfer(config: dict[str, Any], **changes: Any) -> MultiMAETransfer:
    settings = {"backbone": BACKBONE, "head": {"num_outputs": 5, **config}, "loss": "cross_entropy"}
    return MultiMAETransfer(**{**settings, **changes})


class TestLinear(HeadContract):
    config = {"type": "linear"}
    output = "vector"


class TestLinearOnTheGlobalToken(HeadContract):
    config = {"type": "linear", "pool": "global"}
    output = "vector"


class TestConvNeXt(HeadContract):
    config = {"type": "convnext", "token_dim": 64, "num_sub_tokens": 4, "depth": 2}


class TestSegmenter(HeadContract):
    config = SEGMENTER


class TestDPT(HeadContract):
    config = {"type": "dpt", "task": "regression", **DPT}


class TestDPTForSegmentation(HeadContract):
    config = {"type": "dpt", "task": "semseg", **DPT}


class TestProbe(HeadContract):
    config = {"type": "probe", "output": "map"}


class TestProbeOfSamples(HeadContract):
    config = {"type": "probe", "output": "vector"}
    output = "vector"


class TestNeighbours(HeadContract):
    config = {"type": "neighbours", "target": "semseg", "num_neighbours": 3}

    def prepare(self, head: nn.Module, encoded: EncoderOutput) -> None:
        labels = torch.arange(2).view(2, 1, 1).expand(2, 16 * encoded.grid.height, 16 * encoded.grid.width)
        head.remember(encoded, targets={"semseg": labels})


@pytest.mark.parametrize("kind", ["linear", "LinearHead", "multimae.LinearHead"])
def test_the_linear_head_is_found_by_its_names(kind: str) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in head(kind).state_dict().items()} == {
        "norm.weight": (32,),
        "norm.bias": (32,),
        "head.weight": (5, 32),
        "head.bias": (5,),
    }


@pytest.mark.parametrize("pool", ["mean", "global"])
@pytest.mark.parametrize("num_global", [1, 3])
def test_the_linear_head_reads_all_tokens_or_the_last(pool: str, num_global: int) -> None:
    model, tokens = head("linear", pool=pool), encoded(num_global=num_global)
    model.norm.weight.data += torch.rand(32)
    last = tokens.layers[-1]
    pooled = last.mean(dim=1) if pool == "mean" else last[:, -1]
    centred = pooled - pooled.mean(dim=1, keepdim=True)
    normalised = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-6).sqrt() * model.norm.weight
    expected = normalised @ model.head.weight.T
    torch.testing.assert_close(model(tokens, image_size=(48, 32)), expected)
    assert torch.equal(model(tokens, image_size=(48, 32)), model(tokens, image_size=(1, 1)))


def test_a_global_pool_needs_a_global_token() -> None:
    with pytest.raises(ValueError, match="the encoder has none: use pool='mean'"):
        head("linear", pool="global")(encoded(num_global=0), image_size=(48, 32))


def test_a_transfer_with_the_linear_head_gives_vectors() -> None:
    model = transfer({"type": "linear"}, main_modalities=["depth"]).eval()
    inputs = {"rgb": torch.randn(3, 3, 64, 32), "depth": torch.randn(3, 1, 64, 32)}
    assert model(inputs).shape == (3, 5)
    torch.testing.assert_close(torch.stack(model(inputs, mode="predict")), model(inputs))


def test_first_weights_of_the_linear_head_are_xavier_s() -> None:
    weight = head("linear", dim=768, num_outputs=1000).head.weight.detach()
    bound = (6 / 1768) ** 0.5
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(0.0336, rel=0.01)  # measured on the reference's


@pytest.mark.parametrize("kind", ["segmenter", "SegmenterHead", "multimae.SegmenterHead"])
def test_the_segmenter_is_found_by_its_names(kind: str) -> None:
    names = {name.split(".")[0] for name in head(kind, decoder_dim=24, num_heads=4).state_dict()}
    assert names == {"cls_emb", "proj_dec", "blocks", "decoder_norm", "patch_proj", "classes_proj", "mask_norm"}


@pytest.mark.parametrize("main", [["rgb"], ["depth", "rgb"], None])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 32), (80, 48)])
def test_masks_have_the_size_of_the_input(height: int, width: int, main: list[str] | None) -> None:
    model = transfer(SEGMENTER, main_modalities=main).eval()
    inputs = {"rgb": torch.randn(2, 3, height, width), "depth": torch.randn(2, 1, height, width)}
    assert model(inputs).shape == (2, 5, height, width)


def test_masks_are_normalised_over_the_classes() -> None:
    masks = head("segmenter", decoder_dim=24, num_heads=4)(encoded(), image_size=(3, 2))
    torch.testing.assert_close(masks.mean(dim=1), torch.zeros(2, 3, 2), rtol=0, atol=1e-6)
    torch.testing.assert_close(masks.square().mean(dim=1), torch.ones(2, 3, 2), rtol=0, atol=0.02)


def test_classes_are_told_apart_by_their_tokens_alone() -> None:
    model, tokens = head("segmenter", decoder_dim=24, num_heads=4), encoded()
    order = torch.tensor([3, 0, 4, 1, 2])
    before = model(tokens, image_size=(12, 8))
    model.cls_emb.data = model.cls_emb.data[:, order]
    torch.testing.assert_close(model(tokens, image_size=(12, 8)), before[:, order], rtol=0, atol=1e-4)


def test_only_main_modalities_reach_the_segmenter() -> None:
    model, tokens = head("segmenter", decoder_dim=24, num_heads=4), encoded()
    before = model(tokens, image_size=(12, 8))
    for layer in tokens.layers:
        layer[:, 6:] = torch.randn(2, 8, 32)  # depth's and the global ones
    assert torch.equal(model(tokens, image_size=(12, 8)), before)


def test_segmenter_drops_paths_in_training_only() -> None:
    model, tokens = head("segmenter", decoder_dim=24, num_heads=4, drop_path_rate=0.5), encoded()
    assert torch.equal(*(model(tokens, image_size=(3, 2)) for _ in range(2)))
    model.train()
    outputs = [model(tokens, image_size=(3, 2)) for _ in range(8)]
    assert len({float(output.detach().sum()) for output in outputs}) > 1


def test_heads_of_attention_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="decoder_dim=24 does not divide into num_heads=5"):
        head("segmenter", decoder_dim=24, num_heads=5)


def settings(name: str, size: str) -> dict[str, Any]:
    """Return the settings of a head that a size gives: the fields that begin with the head's name."""
    fields = vars(SIZES[size])
    return {field.removeprefix(f"{name}_"): value for field, value in fields.items() if field.startswith(f"{name}_")}


def on_meta(config: dict[str, Any]) -> torch.nn.Module:
    with torch.device("meta"):
        model: torch.nn.Module = MODELS.build(config)
    return model


def encoder_of(size: str) -> dict[str, Any]:
    chosen = SIZES[size]
    sizes = {"dim": chosen.dim, "depth": chosen.depth, "num_heads": chosen.num_heads}
    return {"type": "multimae.MultiMAE", "modalities": ["rgb", "depth", "semseg"], "image_size": 224, **sizes}


@pytest.mark.parametrize("size", SIZES)
def test_every_size_pretrains(size: str) -> None:
    chosen = SIZES[size]
    model = on_meta(
        {
            "type": "multimae.MultiMAEPretraining",
            "backbone": encoder_of(size),
            "outputs": ["rgb", "depth", "semseg", "norm_rgb"],
            "decoder_dim": chosen.decoder_dim,
            "decoder_depth": chosen.decoder_depth,
            "decoder_heads": chosen.decoder_heads,
        }
    )
    assert isinstance(model, MultiMAEPretraining)
    predictions = model.reconstruct(meta_inputs()).predictions
    assert predictions["semseg"].shape == (2, 133, 56, 56)
    assert predictions["norm_rgb"].shape == (2, 3, 224, 224)


@pytest.mark.parametrize("name", ["linear", "convnext", "segmenter", "dpt"])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_every_head(size: str, name: str) -> None:
    config = {"type": f"multimae.{name}", "num_outputs": 7, **settings(name, size)}
    if name == "dpt":
        config["task"] = "semseg"
    model = on_meta(
        {"type": "multimae.MultiMAETransfer", "backbone": encoder_of(size), "head": config, "loss": "cross_entropy"}
    )
    assert model(meta_inputs()).shape == ((2, 7) if name == "linear" else (2, 7, 224, 224))


def meta_inputs() -> dict[str, Tensor]:
    with torch.device("meta"):
        return {
            "rgb": torch.zeros(2, 3, 224, 224),
            "depth": torch.zeros(2, 1, 224, 224),
            "semseg": torch.zeros(2, 56, 56, dtype=torch.long),
        }

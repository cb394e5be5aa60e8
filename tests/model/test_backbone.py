"""The encoder: token order, positions, shapes for any size, what decode heads get, errors."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.backbone import MultiMAE
from multimae.layers import Grid, attend
from multimae.masking import masking_from_masks
from multimae.tables.sizes import SIZES

MODALITIES = ("rgb", "depth", "semseg")


def tiny(**changes: Any) -> MultiMAE:
    settings = {"modalities": MODALITIES, "image_size": 64, "dim": 32, "depth": 3, "num_heads": 4}
    return MultiMAE(**{**settings, "num_semseg_classes": 5, "dim_class_emb": 6, **changes})


def some_inputs(*, height: int = 64, width: int = 64, batch: int = 2) -> dict[str, Tensor]:
    return {
        "rgb": torch.randn(batch, 3, height, width),
        "depth": torch.randn(batch, 1, height, width),
        "semseg": torch.randint(0, 5, (batch, height // 4, width // 4)),
    }


def test_patches_are_projected_as_by_the_convolution() -> None:
    torch.manual_seed(0)
    adapters, inputs = tiny().input_adapters, some_inputs(height=48, width=32)
    rgb = adapters["rgb"]
    expected = rgb.proj(inputs["rgb"]).flatten(2).transpose(1, 2)
    torch.testing.assert_close(rgb.project(rgb.patches(inputs["rgb"])), expected, rtol=0, atol=1e-5)
    semseg = adapters["semseg"]
    embedded = semseg.class_emb(inputs["semseg"]).permute(0, 3, 1, 2)
    expected = semseg.proj(embedded).flatten(2).transpose(1, 2)
    torch.testing.assert_close(semseg.project(semseg.patches(inputs["semseg"])), expected, rtol=0, atol=1e-5)


def test_positions_tell_the_row_first_and_then_the_column() -> None:
    table = tiny().input_adapters["rgb"].pos_emb[0]
    rows, columns = table.split(16)
    assert torch.equal(rows, rows[:, :, :1].expand(-1, -1, 4))
    assert torch.equal(columns, columns[:, :1].expand(-1, 4, -1))
    assert torch.equal(rows.transpose(1, 2), columns)
    angles = torch.arange(4)[None] * 10000 ** (-torch.arange(8)[:, None] / 8)
    torch.testing.assert_close(rows[:, :, 0], torch.cat([angles.sin(), angles.cos()]))


def test_positions_are_not_trained() -> None:
    model = tiny()
    sum(layer.sum() for layer in model.forward_layers(some_inputs()).layers).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {f"input_adapters.{name}.pos_emb" for name in MODALITIES}


@pytest.mark.parametrize(("name", "mode"), [("rgb", "bicubic"), ("depth", "bicubic"), ("semseg", "bilinear")])
def test_positions_of_another_size_are_resized_and_kept(name: str, mode: str) -> None:
    adapter = tiny().input_adapters[name]
    positions = adapter.positions(Grid(6, 3))
    expected = F.interpolate(adapter.pos_emb, size=(6, 3), mode=mode, align_corners=False)[0]
    torch.testing.assert_close(positions, expected.flatten(1).T)
    assert adapter.positions(Grid(6, 3)) is positions


def test_kept_positions_follow_the_table() -> None:
    adapter = tiny().input_adapters["rgb"]
    grid = Grid(6, 3)
    before = adapter.positions(grid)
    adapter.load_state_dict({**adapter.state_dict(), "pos_emb": 2 * adapter.pos_emb})
    torch.testing.assert_close(adapter.positions(grid), 2 * before)
    assert adapter.to(torch.float64).positions(grid).dtype == torch.float64


def test_positions_first_asked_for_in_inference_mode_serve_training() -> None:
    model, inputs = tiny(), some_inputs(height=96, width=48)
    with torch.inference_mode():
        model(inputs)
    model(inputs)[0].sum().backward()
    assert model.global_tokens.grad is not None


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 48), (16, 160)])
def test_layers_hold_the_modalities_in_order_then_the_global_tokens(height: int, width: int) -> None:
    model, inputs = tiny(num_global_tokens=2).eval(), some_inputs(height=height, width=width)
    encoded = model.forward_layers(inputs)
    num_patches = height * width // 256
    assert encoded.grid == (height // 16, width // 16)
    assert [tuple(layer.shape) for layer in encoded.layers] == [(2, 3 * num_patches + 2, 32)] * 3
    embedded = torch.cat([model.input_adapters[name](inputs[name]) for name in MODALITIES], dim=1)
    tokens = torch.cat([embedded, model.global_tokens.expand(2, -1, -1)], dim=1)
    torch.testing.assert_close(encoded.layers[0], model.encoder[0](tokens))
    assert torch.equal(encoded.tokens_of("depth", layer=1), encoded.layers[1][:, num_patches : 2 * num_patches])


def test_order_of_modalities_is_the_order_given() -> None:
    names = ("semseg", "rgb", "depth")
    model = tiny(modalities=names)
    assert list(model.input_adapters) == list(names)
    assert model.forward_layers(some_inputs()).modalities == names


def test_feature_maps_for_decode_heads() -> None:
    model, inputs = tiny(out_indices=(0, 2), out_modalities=("depth", "rgb")).eval(), some_inputs(height=32, width=64)
    maps = model(inputs)
    assert [tuple(feature_map.shape) for feature_map in maps] == [(2, 64, 2, 4)] * 2
    encoded = model.forward_layers(inputs)
    row, column = 1, 2
    place = row * 4 + column
    expected = torch.cat(
        [encoded.tokens_of("depth", layer=0)[:, place], encoded.tokens_of("rgb", layer=0)[:, place]], 1
    )
    torch.testing.assert_close(maps[0][:, :, row, column], expected)


def test_a_bare_tensor_is_the_stack_of_the_modalities() -> None:
    model, inputs = tiny(modalities=["rgb", "depth"]).eval(), some_inputs()
    stacked = torch.cat([inputs["rgb"], inputs["depth"]], dim=1)
    torch.testing.assert_close(model(stacked)[0], model(inputs)[0])
    with pytest.raises(ValueError, match=r"3 channels is not the stack of the modalities \{'rgb': 3, 'depth': 1\}"):
        model(inputs["rgb"])
    assert tiny(modalities=["rgb"])(inputs["rgb"])[0].shape == (2, 32, 4, 4)


def test_visible_tokens_are_those_of_the_whole_input() -> None:
    torch.manual_seed(0)
    model, inputs = tiny(depth=1, num_global_tokens=2).eval(), some_inputs(height=32, width=48)
    masks = {name: torch.ones(2, 6, dtype=torch.bool) for name in MODALITIES}
    masks["rgb"][0, [1, 4]] = False
    masks["semseg"][1, [0, 5]] = False
    masking = masking_from_masks(masks)
    adapters = model.input_adapters
    tokens = torch.cat([adapters[name](inputs[name]) for name in MODALITIES], dim=1)
    kept = torch.stack([tokens[sample, masking.ids_keep[sample]] for sample in range(2)])
    expected = model.encoder(torch.cat([kept, model.global_tokens.expand(2, -1, -1)], dim=1))
    torch.testing.assert_close(model.forward_visible(inputs, masking=masking), expected)


def test_compiled_graphs_choose_no_rows_and_keep_no_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes longer than all other tests together; here only the branches taken then are checked."""
    model, inputs = tiny().eval(), some_inputs(height=32, width=48)
    hidden = {name: torch.rand(2, 6) < 0.5 for name in MODALITIES}
    adapters = model.input_adapters
    eager = {name: adapters[name].forward_visible(inputs[name], hidden=hidden[name]) for name in MODALITIES}
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for name, tokens in eager.items():
        compiled = adapters[name].forward_visible(inputs[name], hidden=hidden[name])
        torch.testing.assert_close(compiled[~hidden[name]], tokens[~hidden[name]])
        assert compiled[hidden[name]].all(dim=-1).any()
        assert adapters[name].positions(Grid(2, 3)) is not adapters[name].positions(Grid(2, 3))


def test_unlabelled_pixels_embed_as_zeros() -> None:
    model = tiny(semseg_padding="extra_class")
    adapter = model.input_adapters["semseg"]
    unlabelled = torch.full((1, 16, 16), 5)
    tokens = adapter.project(adapter.patches(unlabelled))
    assert torch.equal(tokens, adapter.proj.bias.expand_as(tokens))
    tokens.sum().backward()
    assert not adapter.class_emb.weight.grad[5].any()


@pytest.mark.parametrize("num_context", [9, 600])
def test_attention_is_the_same_in_either_form(num_context: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, length, 8) for length in (7, num_context, num_context))
    weights = (query @ key.mT / 8**0.5).softmax(dim=-1)
    torch.testing.assert_close(attend(query, key=key, value=value), weights @ value, rtol=1e-5, atol=1e-6)
    low = attend(query.bfloat16(), key=key.bfloat16(), value=value.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), weights @ value, rtol=0.05, atol=0.03)


def test_drop_path_grows_with_depth() -> None:
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in tiny(drop_path_rate=0.2).encoder]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


def test_initial_weights() -> None:
    model = tiny(dim=64, dim_class_emb=16)
    block = model.encoder[1]
    bounds = {
        block.attn.qkv.weight: (6 / (64 + 64)) ** 0.5,
        block.attn.proj.weight: (6 / (64 + 64)) ** 0.5,
        block.mlp.fc1.weight: (6 / (64 + 256)) ** 0.5,
        model.input_adapters["rgb"].proj.weight: (6 / (64 + 768)) ** 0.5,
        model.input_adapters["semseg"].proj.weight: (6 / (64 + 256)) ** 0.5,
    }
    for weight, bound in bounds.items():
        assert 0.98 * bound < weight.abs().max() <= bound
    assert not block.attn.qkv.bias.any()
    assert model.input_adapters["rgb"].proj.bias.any()
    for tokens in (model.global_tokens, model.input_adapters["semseg"].class_emb.weight):
        assert 0.01 < tokens.std() < 0.03


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modalities": ["rgb", "dpeth"]}, "no modality 'dpeth'; did you mean depth"),
        ({"modalities": ["rgb", "rgb"]}, "different names"),
        ({"modalities": []}, "one or several"),
        ({"out_modalities": ["normal"]}, "out_modalities"),
        ({"out_indices": [3]}, "out_indices"),
        ({"patch_size": 14}, "does not divide by 4"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rgb": torch.zeros(2, 3, 60, 64)}, "60x64 does not divide into patches of 16x16"),
        ({"depth": torch.zeros(2, 1, 64, 32)}, r"grids differ: \{'rgb': \(4, 4\), 'depth': \(4, 2\)"),
        ({"semseg": torch.full((2, 16, 16), 5)}, "has 5 rows"),
    ],
)
def test_inputs_that_cannot_be(change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny()({**some_inputs(), **change})


def test_missing_input_is_named() -> None:
    inputs = some_inputs()
    del inputs["depth"]
    with pytest.raises(ValueError, match=r"lack \['depth'\]"):
        tiny()(inputs)


def test_inputs_without_an_adapter_are_not_looked_at() -> None:
    model, inputs = tiny(modalities=["rgb"]).eval(), some_inputs()
    torch.testing.assert_close(model(inputs)[0], model({"rgb": inputs["rgb"]})[0])


def test_sizes_fit_together_and_need_no_torch() -> None:
    for size in SIZES.values():
        assert size.dim % size.num_heads == 0
        assert size.decoder_dim % size.decoder_heads == 0
        assert size.convnext_token_dim % 16 == 0
        assert size.dpt_hooks[-1] == size.depth - 1
        assert list(size.dpt_hooks) == sorted(set(size.dpt_hooks))
    code = "import sys, multimae.tables.sizes, multimae.tables.modalities; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

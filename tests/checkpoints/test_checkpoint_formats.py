"""Names and tables of parameters in every layout: the reference's lists, timm's models, MAE's files; both ways."""

import csv
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from multimae.backbone import MultiMAE
from multimae.checkpoints.formats import as_ours, from_reference, from_timm, no_place_for, to_reference, to_timm
from multimae.pretraining import MultiMAEPretraining
from multimae.tables.sizes import SIZES
from multimae.transfer import MultiMAETransfer

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))
KEYS = SHARED / "reference" / "official_keys"
ALL = ["rgb", "depth", "semseg"]
TINY = {"image_size": 64, "dim": 16, "depth": 2, "num_heads": 2}
DPT = {"type": "dpt", "num_outputs": 2, "hooks": [0, 0, 1, 1], "layer_dims": [4, 4, 8, 8], "feature_dim": 4}


def official(name: str) -> dict[str, dict[str, str]]:
    path = KEYS / f"{name}.tsv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file, delimiter="\t")}


def official_model(name: str) -> nn.Module:
    """Build the model of an official list of keys, on the meta device, where it costs nothing."""
    size = SIZES["large" if name == "pretrain_large" else "base"]
    sizes = {"type": "multimae.MultiMAE", "dim": size.dim, "depth": size.depth, "num_heads": size.num_heads}
    with torch.device("meta"):
        if name.startswith("pretrain"):
            encoder = {**sizes, "modalities": ALL, "image_size": 224}
            return MultiMAEPretraining(backbone=encoder, outputs=[*ALL, "norm_rgb"])
        modalities = ["rgb", "depth"] if name.endswith("rgbd") else ["rgb"]
        image_size = {"cls_base": 224, "depth_dpt_rgb": 256, "semseg_convnext_nyu_rgbd": 640}.get(name, 512)
        heads: dict[str, dict[str, Any]] = {
            "cls_base": {"type": "linear", "num_outputs": 1000},
            "depth_dpt_rgb": {"type": "dpt", "task": "regression", "num_outputs": 1},
            "semseg_dpt_rgb": {"type": "dpt", "task": "semseg", "num_outputs": 150},
            "semseg_convnext_ade_rgb": {"type": "convnext", "num_outputs": 150},
            "semseg_convnext_nyu_rgbd": {"type": "convnext", "num_outputs": 40},
            "semseg_segmenter_rgb": {"type": "segmenter", "num_outputs": 150},
        }
        encoder = {**sizes, "modalities": modalities, "image_size": image_size}
        return MultiMAETransfer(backbone=encoder, head=heads[name], loss="l1", main_modalities=["rgb"])


@pytest.mark.parametrize(
    ("name", "num_params"),
    [
        ("pretrain_base", 98_569_360),
        ("pretrain_large", 316_762_256),
        ("cls_base", 86_566_888),
        ("semseg_convnext_ade_rgb", 96_020_886),
        ("semseg_convnext_nyu_rgbd", 97_847_080),
        ("semseg_segmenter_rgb", 102_495_276),
        ("depth_dpt_rgb", 105_908_353),
        ("semseg_dpt_rgb", 106_794_582),
    ],
)
def test_names_and_shapes_are_the_reference_s(name: str, num_params: int) -> None:
    expected, model = official(name), official_model(name)
    state = model.state_dict()
    renamed = to_reference(state, task=name.split("_")[0])
    shapes = {key: "x".join(map(str, tensor.shape)) for key, tensor in renamed.items()}
    assert shapes == {key: row["shape"] for key, row in expected.items()}
    assert sum(parameter.numel() for parameter in model.parameters()) == num_params
    assert set(from_reference(renamed)) == set(state)

    trained = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    positions = {key for key in renamed if key.endswith("pos_emb")}
    learned = {key for key, row in expected.items() if row["requires_grad"] == "True"}
    assert not learned & positions
    theirs = {key for key in from_reference({key: renamed[key] for key in learned | positions}) if "pos_emb" not in key}
    assert trained <= theirs
    # The unit of DPT that never runs is trained in name only.
    assert theirs - trained == {key for key in state if "refinenet4.resConfUnit1" in key}


def test_every_official_list_is_compared() -> None:
    official("cls_base")
    compared = test_names_and_shapes_are_the_reference_s.pytestmark[0].args[1]
    assert {path.stem for path in KEYS.glob("*.tsv")} == {name for name, _ in compared}


def encoder(*, modalities: list[str] = ALL, **changes: Any) -> MultiMAE:
    """Build an encoder whose positions are not the fixed ones, so that mixing them up shows."""
    torch.manual_seed(0)
    model = MultiMAE(modalities=modalities, **{**TINY, "dim_class_emb": 4, **changes})
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def in_transfer(model: MultiMAE) -> dict[str, Tensor]:
    return {f"backbone.{name}": tensor for name, tensor in model.state_dict().items()}


def plain_vit(**changes: Any) -> VisionTransformer:
    torch.manual_seed(1)
    settings = {"img_size": 64, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 3, "final_norm": False}
    model = VisionTransformer(**{**settings, **changes})
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(actual) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def global_first(tokens: Tensor, *, num_global: int) -> Tensor:
    """Reorder our tokens, patches, registers, class, to timm's order: class, registers, patches."""
    of_patches = tokens[:, : tokens.shape[1] - num_global]
    if not num_global:
        return of_patches
    return torch.cat([tokens[:, -1:], tokens[:, of_patches.shape[1] : -1], of_patches], dim=1)


@pytest.mark.parametrize("num_global", [1, 2, 3])
def test_a_timm_model_computes_our_tokens(num_global: int) -> None:
    model = encoder(num_global_tokens=num_global)
    vit = plain_vit(reg_tokens=num_global - 1, num_classes=0)
    vit.load_state_dict(to_timm(in_transfer(model)))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        ours = encoder(modalities=["rgb"], num_global_tokens=num_global)
        ours.load_state_dict(model.state_dict(), strict=False)
        expected = ours.forward_layers({"rgb": images}).layers[-1]
        torch.testing.assert_close(vit.forward_features(images), global_first(expected, num_global=num_global))


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"reg_tokens": 2},
        {"no_embed_class": True},
        {"no_embed_class": True, "reg_tokens": 4},
        {"class_token": False, "global_pool": "avg"},
        {"global_pool": "avg", "final_norm": True},
    ],
    ids=str,
)
def test_we_compute_a_timm_model_s_tokens(kind: dict[str, Any]) -> None:
    vit = plain_vit(**kind)
    weights = as_ours(vit.state_dict())
    assert set(weights.left_out) == {name for name in vit.state_dict() if name.startswith(("fc_norm.", "head."))}
    vit.norm, vit.fc_norm = nn.Identity(), nn.Identity()
    num_global = vit.num_prefix_tokens
    model = encoder(modalities=["rgb"], num_global_tokens=num_global)
    model.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in weights.state.items()})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        tokens = model.forward_layers({"rgb": images}).layers[-1]
        torch.testing.assert_close(global_first(tokens, num_global=num_global), vit.forward_features(images))


@pytest.mark.parametrize("num_global", [1, 3])
def test_there_and_back_through_timm_is_exact(num_global: int) -> None:
    state = in_transfer(encoder(modalities=["rgb"], num_global_tokens=num_global))
    same(from_timm(to_timm(state)), state)


def test_timm_has_a_place_for_the_encoder_of_rgb_alone() -> None:
    state = {**in_transfer(encoder()), "head.head.weight": torch.zeros(2, 2)}
    assert len(to_timm(state)) + len(no_place_for(state, layout="timm")) == len(state)
    assert {name.split(".")[2] for name in no_place_for(state, layout="timm") if name.startswith("backbone")} == {
        "depth",
        "semseg",
    }
    with pytest.raises(ValueError, match=r"holds an encoder of RGB, but there are input adapters for \['depth'\]"):
        to_timm(in_transfer(encoder(modalities=["depth"])))


def mae() -> dict[str, Tensor]:
    """Name tensors as in MAE's own checkpoints: an encoder, a final norm, a decoder."""
    vit = plain_vit(final_norm=True, num_classes=0).state_dict()
    decoder = {"embed.weight": (8, 16), "pos_embed": (1, 17, 8), "blocks.0.norm1.weight": (8,), "pred.bias": (768,)}
    return {
        **vit,
        "mask_token": torch.zeros(1, 1, 8),
        **{f"decoder_{name}": torch.zeros(shape) for name, shape in decoder.items()},
    }


def test_mae_s_decoder_and_final_norm_are_left_out() -> None:
    weights = as_ours(mae())
    assert set(weights.state) == set(in_transfer(encoder(modalities=["rgb"])))
    assert set(weights.left_out) == {
        *("norm.weight", "norm.bias", "mask_token", "decoder_embed.weight", "decoder_pos_embed"),
        *("decoder_blocks.0.norm1.weight", "decoder_pred.bias"),
    }


def test_the_token_deit_distils_through_becomes_a_global_token() -> None:
    state = {**plain_vit().state_dict(), "dist_token": torch.full((1, 1, 16), 2.0)}
    state["pos_embed"] = torch.randn(1, 18, 16)
    tokens = from_timm(state)["backbone.global_tokens"]
    # The class token comes last, where heads read it.
    both = torch.cat([state["cls_token"], state["dist_token"]], dim=1) + state["pos_embed"][:, :2]
    assert torch.equal(tokens, both.flip(1))


def test_what_is_no_plain_vit_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no place for norm_pre\.weight, norm_pre\.bias"):
        from_timm(plain_vit(pre_norm=True).state_dict())
    with pytest.raises(ValueError, match="no table of positions"):
        from_timm(plain_vit(pos_embed="none").state_dict())
    with pytest.raises(ValueError, match="a table of 13 positions for 1 tokens"):
        from_timm(plain_vit(img_size=(48, 64)).state_dict())
    with pytest.raises(ValueError, match=r"\['conv1\.weight'\], \.\.\. are in no known layout"):
        as_ours({"conv1.weight": torch.zeros(1)})


def transfer(head: dict[str, Any]) -> MultiMAETransfer:
    torch.manual_seed(0)
    return MultiMAETransfer(
        backbone={"type": "multimae.MultiMAE", "modalities": ["rgb"], **TINY}, head=head, loss="cross_entropy"
    )


@pytest.mark.parametrize(
    "head",
    [
        {"type": "linear", "num_outputs": 3},
        {"type": "convnext", "num_outputs": 3, "token_dim": 64, "depth": 1},
        {"type": "segmenter", "num_outputs": 3, "decoder_dim": 16, "num_heads": 2},
        {**DPT, "task": "regression"},
        {**DPT, "task": "semseg"},
    ],
    ids=lambda head: "-".join([head["type"], head.get("task", "")]),
)
def test_there_and_back_through_the_reference_is_exact(head: dict[str, Any]) -> None:
    state = transfer(head).state_dict()
    theirs = to_reference(state, task="y")
    weights = as_ours(theirs)
    same(dict(weights.state), state)
    assert weights.task == "y"
    assert not any(name.startswith(("backbone.", "head.")) for name in theirs)


def test_dpt_s_second_names_do_as_well_as_its_first() -> None:
    state = transfer({**DPT, "task": "semseg"}).state_dict()
    theirs = to_reference(state, task="semseg")
    first = {f"output_adapters.semseg.{name}" for name in ("act_1_postprocess.0.bias", "scratch.layer4_rn.weight")}
    assert first < set(theirs)
    same(from_reference({name: tensor for name, tensor in theirs.items() if name not in first}), state)


def test_pretraining_goes_there_and_back_but_for_the_weights_of_its_losses() -> None:
    model = MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", "modalities": ["rgb", "depth"], **TINY},
        outputs=["rgb", "depth", "norm_rgb"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
        loss_weighting="uncertainty",
    )
    state = model.state_dict()
    weights = {name for name in state if name.startswith("log_variances.")}
    assert len(weights) == 3
    assert set(no_place_for(state, layout="reference")) == weights
    same(from_reference(to_reference(state)), {name: t for name, t in state.items() if name not in weights})


def test_a_head_needs_the_name_of_its_task_and_must_be_the_only_one() -> None:
    with pytest.raises(ValueError, match="pass task"):
        to_reference({"head.proj_dec.weight": torch.zeros(1)})
    two = {f"output_adapters.{task}.final_layer.bias": torch.zeros(1) for task in ("semseg", "depth")}
    with pytest.raises(ValueError, match=r"2 heads, \['depth', 'semseg'\]"):
        from_reference(two)
    with pytest.raises(ValueError, match="no layout 'tim'; did you mean timm"):
        no_place_for({}, layout="tim")

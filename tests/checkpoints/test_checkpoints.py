"""Weights from checkpoints into models: what is loaded, resized, left out, refused; reports; export."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.backbone import MultiMAE
from multimae.checkpoints.files import read_weights, write_tensors
from multimae.checkpoints.formats import to_reference, to_timm
from multimae.checkpoints.loading import LoadReport, export_checkpoint, load_backbone, load_model
from multimae.pretraining import MultiMAEPretraining
from multimae.transfer import MultiMAETransfer

ALL = ["rgb", "depth", "semseg"]


def config(modalities: list[str], **changes: Any) -> dict[str, Any]:
    settings = {"modalities": modalities, "image_size": 64, "dim": 16, "depth": 2, "num_heads": 2}
    return {**settings, "num_semseg_classes": 5, "dim_class_emb": 4, **changes}


def backbone(modalities: list[str], **changes: Any) -> MultiMAE:
    return MultiMAE(**config(modalities, **changes))


def pretraining(*, outputs: list[str], seed: int, **changes: Any) -> MultiMAEPretraining:
    torch.manual_seed(seed)
    return MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", **config(ALL, **changes)},
        outputs=outputs,
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
    )


def pretrained() -> MultiMAEPretraining:
    return pretraining(outputs=["rgb", "depth"], seed=0)


def transfer(*, seed: int, num_outputs: int = 3) -> MultiMAETransfer:
    torch.manual_seed(seed)
    encoder = {"type": "multimae.MultiMAE", **config(["rgb"])}
    return MultiMAETransfer(backbone=encoder, head={"type": "linear", "num_outputs": num_outputs}, loss="l1")


@pytest.fixture(params=["ours", "the reference's", "the reference's while training", "safetensors"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a pre-training checkpoint as we do and as the reference does."""
    state = pretrained().state_dict()
    path = tmp_path / ("checkpoint.safetensors" if request.param == "safetensors" else "checkpoint.pth")
    theirs = to_reference(state)
    if request.param == "the reference's while training":
        parallel = {f"module.{name}": tensor for name, tensor in theirs.items()}
        torch.save({"model": parallel, "epoch": 3, "args": argparse.Namespace(lr=1e-4)}, path)
    else:
        write_tensors(path, state if request.param == "ours" else theirs)
    return path


def test_loads_a_part_of_the_modalities(checkpoint: Path) -> None:
    model, source = backbone(["depth", "rgb"]), pretrained().backbone.state_dict()
    report = load_backbone(model, checkpoint)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, source[name])
    assert set(report.loaded) == set(model.state_dict())
    assert report.missing == report.resized == ()
    assert set(report.unexpected) == {name for name in source if name.startswith("input_adapters.semseg.")}


def test_resizes_positions_bicubically_and_adds_the_row_for_unlabelled(checkpoint: Path) -> None:
    model, source = backbone(ALL, image_size=96, semseg_padding="extra_class"), pretrained().backbone
    model(inputs(96))  # positions asked for before loading must not be remembered
    report = load_backbone(model, checkpoint)
    expected = F.interpolate(source.input_adapters["rgb"].pos_emb, size=(6, 6), mode="bicubic", align_corners=False)
    assert set(report.resized) == {
        *(f"input_adapters.{name}.pos_emb" for name in ALL),
        "input_adapters.semseg.class_emb.weight",
    }
    for name in ALL:
        assert torch.equal(model.input_adapters[name].pos_emb, expected)
        positions = model.input_adapters[name].positions(model.grid(inputs(96)))
        assert torch.equal(positions, expected[0].flatten(1).T)
    embedding = model.input_adapters["semseg"].class_emb.weight
    assert torch.equal(embedding[:5], source.input_adapters["semseg"].class_emb.weight)
    assert not embedding[5].any()


def inputs(size: int) -> dict[str, Tensor]:
    return {
        "rgb": torch.zeros(1, 3, size, size),
        "depth": torch.zeros(1, 1, size, size),
        "semseg": torch.zeros(1, size // 4, size // 4, dtype=torch.long),
    }


def test_drops_the_row_for_unlabelled_where_there_is_none(tmp_path: Path) -> None:
    source, model = backbone(ALL, semseg_padding="extra_class"), backbone(ALL)
    torch.save({"model": source.state_dict()}, tmp_path / "c.pth")
    assert load_backbone(model, tmp_path / "c.pth").resized == ("input_adapters.semseg.class_emb.weight",)
    embedding = source.input_adapters["semseg"].class_emb.weight
    assert torch.equal(model.input_adapters["semseg"].class_emb.weight, embedding[:5])


def test_a_new_modality_must_be_named(checkpoint: Path) -> None:
    with pytest.raises(
        ValueError, match=r"lacks 3 .*: input_adapters\.normal\.\* \(3\)\. .* adapters for \['depth', 'rgb', 'semseg'\]"
    ):
        load_backbone(backbone(["rgb", "normal"]), checkpoint)
    report = load_backbone(backbone(["rgb", "normal"]), checkpoint, new_modalities=["normal"])
    assert set(report.missing) == {f"input_adapters.normal.{name}" for name in ("pos_emb", "proj.weight", "proj.bias")}


def test_a_deeper_encoder_is_refused_and_left_alone(checkpoint: Path) -> None:
    model = backbone(["rgb"], depth=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"lacks 12 of the model's parameters: encoder\.2\.\* \(12\)\. It holds 2 blocks"
    ):
        load_backbone(model, checkpoint)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("change", [{"dim": 32}, {"num_semseg_classes": 9}, {"num_global_tokens": 2}])
def test_other_shapes_are_refused_by_name(checkpoint: Path, change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"model of another size, .*wanted \("):
        load_backbone(backbone(ALL, **change), checkpoint)


def test_an_encoder_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_tensors(
        tmp_path / "c.pth", {"encoder.layer.0.output.bias": torch.zeros(3), "encoder.norm.bias": torch.zeros(3)}
    )
    with pytest.raises(ValueError, match=r"lacks 28 of the model's parameters: global_tokens, .* It holds 0 blocks"):
        load_backbone(backbone(["rgb"]), tmp_path / "c.pth")


def test_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"conv1.weight": torch.zeros(3)}}, tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"c\.pth: parameters \['conv1\.weight'\], .* in no known layout"):
        load_backbone(backbone(["rgb"]), tmp_path / "c.pth")


def test_a_shallower_encoder_is_refused(checkpoint: Path) -> None:
    with pytest.raises(
        ValueError, match=r"12 parameters more than the model's: encoder\.1\.\* \(12\)\. It holds 2 blocks"
    ):
        load_backbone(backbone(["rgb"], depth=1), checkpoint)


def test_half_precision_is_resized_too(tmp_path: Path) -> None:
    source = backbone(["rgb"]).half()
    write_tensors(tmp_path / "c.pth", source.state_dict())
    model = backbone(["rgb"], image_size=96)
    assert load_backbone(model, tmp_path / "c.pth").resized == ("input_adapters.rgb.pos_emb",)
    table = source.input_adapters["rgb"].pos_emb.float()
    resized = F.interpolate(table, size=(6, 6), mode="bicubic", align_corners=False)
    assert torch.equal(model.input_adapters["rgb"].pos_emb, resized)  # no rounding in between
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def vit(**changes: Any) -> VisionTransformer:
    torch.manual_seed(0)
    sizes = {"img_size": 64, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 3}
    return VisionTransformer(**{**sizes, **changes}).eval()


@pytest.mark.parametrize("name", ["vit.pth", "bare.pth", "vit.safetensors"])
def test_loads_plain_vits_and_says_what_they_have_no_place_for(tmp_path: Path, name: str) -> None:
    source, model = vit(), backbone(["rgb"], image_size=96)
    if name == "bare.pth":
        torch.save(source.state_dict(), tmp_path / name)
    else:
        write_tensors(tmp_path / name, source.state_dict())
    report = load_backbone(model, tmp_path / name)
    assert set(report.loaded) == set(model.state_dict())
    assert set(report.unexpected) == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert report.resized == ("input_adapters.rgb.pos_emb",)
    assert torch.equal(model.encoder[1].mlp.fc1.weight, source.blocks[1].mlp.fc1.weight)


def test_plain_vits_know_rgb_alone(tmp_path: Path) -> None:
    write_tensors(tmp_path / "c.pth", vit().state_dict())
    with pytest.raises(ValueError, match=r"lacks 3 .*depth.*input adapters for \['rgb'\].* new_modalities"):
        load_backbone(backbone(["depth", "rgb"]), tmp_path / "c.pth")
    report = load_backbone(backbone(["depth", "rgb"]), tmp_path / "c.pth", new_modalities=["depth"])
    assert all(name.startswith("input_adapters.depth.") for name in report.missing)


def test_a_vit_with_more_in_its_blocks_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "c.pth", vit(qk_norm=True).state_dict())
    with pytest.raises(ValueError, match=r"no place for blocks\.0\.attn\.q_norm\.weight, .* keys are normalised"):
        load_backbone(backbone(["rgb"]), tmp_path / "c.pth")


def same_weights(actual: torch.nn.Module, expected: torch.nn.Module) -> None:
    state = expected.state_dict()
    assert set(actual.state_dict()) == set(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in actual.state_dict().items())


def test_loads_a_whole_pretraining_model(checkpoint: Path) -> None:
    model = pretraining(outputs=["rgb", "depth"], seed=1)
    report = load_model(model, checkpoint)
    assert report.missing == report.unexpected == report.resized == ()
    same_weights(model, pretrained())


def test_resizes_the_positions_of_decoders_as_well(checkpoint: Path) -> None:
    model = pretraining(outputs=["rgb", "depth"], seed=1, image_size=96)
    positions = pretrained().output_adapters["rgb"].pos_emb
    expected = F.interpolate(positions, size=(6, 6), mode="bicubic", align_corners=False)
    assert "output_adapters.rgb.pos_emb" in load_model(model, checkpoint).resized
    assert torch.equal(model.output_adapters["rgb"].pos_emb, expected)


def test_a_decoder_the_checkpoint_lacks_must_be_named(checkpoint: Path) -> None:
    model = pretraining(outputs=["rgb", "norm_rgb"], seed=1)
    match = r"lacks \d+ .*: output_adapters\.norm_rgb\.\* .*decoders for \['depth', 'rgb'\].* new_outputs"
    with pytest.raises(ValueError, match=match):
        load_model(model, checkpoint)
    report = load_model(model, checkpoint, new_outputs=["norm_rgb"])
    assert report.missing
    assert all(name.startswith("output_adapters.norm_rgb.") for name in report.missing)
    assert all(name.startswith("output_adapters.depth.") for name in report.unexpected)


def test_a_new_input_brings_an_embedding_into_old_decoders(checkpoint: Path) -> None:
    torch.manual_seed(1)
    model = MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", **config([*ALL, "normal"])},
        outputs=["rgb"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
        loss_weighting="uncertainty",
    )
    report = load_model(model, checkpoint, new_modalities=["normal"])
    adapter = {f"backbone.input_adapters.normal.{name}" for name in ("pos_emb", "proj.weight", "proj.bias")}
    assert set(report.missing) == {*adapter, "output_adapters.rgb.task_embeddings.normal", "log_variances.rgb"}


@pytest.mark.parametrize("layout", ["multimae", "reference"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_loads_a_whole_transfer_model(tmp_path: Path, layout: str, suffix: str) -> None:
    source, path = transfer(seed=0), tmp_path / f"c{suffix}"
    write_tensors(path, source.state_dict() if layout == "multimae" else to_reference(source.state_dict(), task="cls"))
    model = transfer(seed=1)
    assert load_model(model, path).missing == ()
    same_weights(model, source)


def test_a_transfer_model_needs_a_head(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks 4 .*: head\.\* \(4\)\. .* and no head.* load_backbone"):
        load_model(transfer(seed=0), checkpoint)


def test_a_head_of_other_classes_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "c.pth", transfer(seed=0).state_dict())
    with pytest.raises(ValueError, match=r"2 parameters differ: head\.head\.weight \(3, 16\), wanted \(4, 16\); head"):
        load_model(transfer(seed=0, num_outputs=4), tmp_path / "c.pth")


def test_a_report_can_be_read(checkpoint: Path) -> None:
    model = backbone(["rgb", "normal"], image_size=96)
    report = load_backbone(model, checkpoint, new_modalities=["normal"])
    assert str(report).splitlines() == [
        "loaded 28 parameters, 1 of them resized; 3 of the model's stay fresh, 7 of the file's are not used",
        "  loaded: global_tokens, input_adapters.rgb.* (3), encoder.{0..1}.* (24)",
        "  resized: input_adapters.rgb.pos_emb",
        "  fresh: input_adapters.normal.* (3)",
        "  not used: input_adapters.depth.* (3), input_adapters.semseg.* (4)",
    ]


def test_a_long_report_is_cut() -> None:
    report = LoadReport(loaded=(), missing=(), unexpected=tuple(f"part{i}.weight" for i in range(20)), resized=())
    assert str(report).endswith("part11.weight, and 8 more")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_exports_from_every_layout_to_every_other(tmp_path: Path, suffix: str) -> None:
    source = transfer(seed=0)
    write_tensors(tmp_path / "ours.pth", source.state_dict())
    assert export_checkpoint(tmp_path / "ours.pth", tmp_path / f"a{suffix}", layout="reference", task="cls") == ()
    assert "output_adapters.cls.head.weight" in read_weights(tmp_path / f"a{suffix}").state
    # The name of the task is remembered from file to file.
    export_checkpoint(tmp_path / f"a{suffix}", tmp_path / "b.pth", layout="reference")
    export_checkpoint(tmp_path / "b.pth", tmp_path / f"c{suffix}")
    model = transfer(seed=1)
    load_model(model, tmp_path / f"c{suffix}")
    same_weights(model, source)

    left_out = export_checkpoint(tmp_path / "b.pth", tmp_path / f"d{suffix}", layout="timm")
    assert set(left_out) == {f"head.{name}" for name in ("norm.weight", "norm.bias", "head.weight", "head.bias")}
    encoder = vit(final_norm=False, num_classes=0)
    encoder.load_state_dict(read_weights(tmp_path / f"d{suffix}").state)
    export_checkpoint(tmp_path / f"d{suffix}", tmp_path / "e.pth")
    load_backbone(model.backbone, tmp_path / "e.pth")
    same_weights(model.backbone, source.backbone)


def test_exports_what_the_reference_s_converter_writes(tmp_path: Path) -> None:
    source = pretrained()
    write_tensors(tmp_path / "a.pth", source.state_dict())
    left_out = export_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth", layout="timm")
    assert any(name.startswith("output_adapters.rgb.") for name in left_out)
    written = read_weights(tmp_path / "b.pth").state
    assert set(written) == set(to_timm(source.state_dict()))
    assert not written["pos_embed"][:, 0].any()
    assert torch.equal(written["pos_embed"][0, 1:], source.backbone.input_adapters["rgb"].pos_emb[0].flatten(1).T)


def test_wrong_exports_leave_no_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.pth", transfer(seed=0).state_dict())
    with pytest.raises(ValueError, match="no layout 'tim'; did you mean timm"):
        export_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth", layout="tim")
    with pytest.raises(ValueError, match="pass task"):
        export_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth", layout="reference")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]

"""Weights from our checkpoints and the reference's: what is loaded, resized, left out; names both ways."""

import csv
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.backbone import MultiMAE
from multimae.checkpoints import from_reference, load_backbone, to_reference
from multimae.pretraining import MultiMAEPretraining
from multimae.sizes import SIZES
from multimae.transfer import MultiMAETransfer

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[2] / "shared"))
KEYS = SHARED / "reference" / "official_keys"
ALL = ["rgb", "depth", "semseg"]


def config(modalities: list[str], **changes: Any) -> dict[str, Any]:
    settings = {"modalities": modalities, "image_size": 64, "dim": 16, "depth": 2, "num_heads": 2}
    return {**settings, "num_semseg_classes": 5, "dim_class_emb": 4, **changes}


def backbone(modalities: list[str], **changes: Any) -> MultiMAE:
    return MultiMAE(**config(modalities, **changes))


def pretrained() -> MultiMAEPretraining:
    torch.manual_seed(0)
    return MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", **config(ALL)},
        outputs=["rgb", "depth"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
    )


@pytest.fixture(params=["ours", "the reference's"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a pre-training checkpoint in our format and in the reference's."""
    state = pretrained().state_dict()
    named = state if request.param == "ours" else to_reference(state)
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": named, "epoch": 3}, path)
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
        ValueError, match=r"input_adapters\.normal\.proj\.weight.*adapters for \['depth', 'rgb', 'semseg'\]"
    ):
        load_backbone(backbone(["rgb", "normal"]), checkpoint)
    report = load_backbone(backbone(["rgb", "normal"]), checkpoint, new_modalities=["normal"])
    assert set(report.missing) == {f"input_adapters.normal.{name}" for name in ("pos_emb", "proj.weight", "proj.bias")}


def test_a_deeper_encoder_is_refused_and_left_alone(checkpoint: Path) -> None:
    model = backbone(["rgb"], depth=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"lacks 12 of the encoder's parameters: encoder\.2\.norm1\.weight"):
        load_backbone(model, checkpoint)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("change", [{"dim": 32}, {"num_semseg_classes": 9}, {"num_global_tokens": 2}])
def test_other_shapes_are_refused_by_name(checkpoint: Path, change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"encoder of another size: .*wanted \("):
        load_backbone(backbone(ALL, **change), checkpoint)


def test_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"wanted a dict with 'model', got \['weights'\]"):
        load_backbone(backbone(["rgb"]), tmp_path / "c.pth")


def official(name: str) -> dict[str, str]:
    path = KEYS / f"{name}.tsv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(newline="") as file:
        return {row["key"]: row["shape"] for row in csv.DictReader(file, delimiter="\t")}


def official_model(name: str) -> nn.Module:
    """Build the model of an official list of keys, on the meta device, where it costs nothing."""
    size = SIZES["large" if name == "pretrain_large" else "base"]
    sizes = {"type": "multimae.MultiMAE", "dim": size.dim, "depth": size.depth, "num_heads": size.num_heads}
    with torch.device("meta"):
        if name.startswith("pretrain"):
            encoder = {**sizes, "modalities": ALL, "image_size": 224}
            return MultiMAEPretraining(backbone=encoder, outputs=[*ALL, "norm_rgb"])
        modalities = ["rgb", "depth"] if name.endswith("rgbd") else ["rgb"]
        image_size = {"depth_dpt_rgb": 256, "semseg_convnext_nyu_rgbd": 640}.get(name, 512)
        heads: dict[str, dict[str, Any]] = {
            "depth_dpt_rgb": {"type": "DPTHead", "task": "regression", "num_outputs": 1},
            "semseg_dpt_rgb": {"type": "DPTHead", "task": "semseg", "num_outputs": 150},
            "semseg_convnext_ade_rgb": {"type": "ConvNeXtHead", "num_outputs": 150},
            "semseg_convnext_nyu_rgbd": {"type": "ConvNeXtHead", "num_outputs": 40},
        }
        encoder = {**sizes, "modalities": modalities, "image_size": image_size}
        return MultiMAETransfer(backbone=encoder, head=heads[name], loss="l1", main_modalities=["rgb"])


@pytest.mark.parametrize(
    ("name", "num_params"),
    [
        ("pretrain_base", 98_569_360),
        ("pretrain_large", 316_762_256),
        ("semseg_convnext_ade_rgb", 96_020_886),
        ("semseg_convnext_nyu_rgbd", 97_847_080),
        ("depth_dpt_rgb", 105_908_353),
        ("semseg_dpt_rgb", 106_794_582),
    ],
)
def test_names_and_shapes_are_the_reference_s(name: str, num_params: int) -> None:
    expected, model = official(name), official_model(name)
    state = model.state_dict()
    renamed = to_reference(state, task=name.split("_")[0])
    assert {key: "x".join(map(str, tensor.shape)) for key, tensor in renamed.items()} == expected
    assert sum(parameter.numel() for parameter in model.parameters()) == num_params
    assert set(from_reference(renamed)) == set(state)


def test_a_head_needs_the_name_of_its_task() -> None:
    with pytest.raises(ValueError, match="pass task"):
        to_reference({"head.proj_dec.weight": torch.zeros(1)})

"""Weights as strangers save them: loaded exactly, with a word about what was changed, or refused by name."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from multimae.backbone import MultiMAE
from multimae.checkpoints.choosing import unwrapped
from multimae.checkpoints.files import read_weights, write_tensors
from multimae.checkpoints.formats import from_timm, to_reference, to_timm
from multimae.checkpoints.loading import export_checkpoint, load_backbone
from multimae.checkpoints.reading import Reading, split_words
from tests.made.plain_vits import (
    State,
    encoder,
    in_a_model,
    ours,
    same,
    saved,
    tokens_alike,
    vit,
)

VITS: dict[str, dict[str, Any]] = {
    "DeiT-III": {"init_values": 0.1, "no_embed_class": True},
    "patches of 14": {"img_size": 56, "patch_size": 14, "init_values": 0.1},
    "patches of 32": {"img_size": 96, "patch_size": 32},
    "DINOv2 in timm": {"img_size": 56, "patch_size": 14, "init_values": 0.1, "no_embed_class": True, "reg_tokens": 4},
    "no bias in qkv": {"qkv_bias": False},
    "registers with positions": {"reg_tokens": 2},
}


@pytest.mark.parametrize("kind", VITS, ids=lambda kind: kind.replace(" ", "-"))
def test_a_plain_vit_computes_the_same_here(kind: str, tmp_path: Path) -> None:
    source = vit(**VITS[kind])
    model = MultiMAE.from_pretrained(saved(tmp_path / "vit.pth", source.state_dict()), num_heads=2).eval()
    assert model.patch_size == VITS[kind].get("patch_size", 16)
    assert model.image_size == VITS[kind].get("img_size", 64)
    assert model.num_global_tokens == 1 + VITS[kind].get("reg_tokens", 0)
    tokens_alike(model, source)


def dinov2(source: VisionTransformer, *, chunked: bool = False) -> State:
    """Name a model's parameters as DINOv2 does: positions for the class token alone, registers beside it."""
    state = {name.replace("reg_token", "register_tokens"): tensor for name, tensor in source.state_dict().items()}
    state["mask_token"] = torch.zeros(1, 16)
    positions = torch.randn(1, 1, 16)
    state["cls_token"] = state["cls_token"] - positions
    state["pos_embed"] = torch.cat([positions, state["pos_embed"]], dim=1)
    if chunked:
        state = {re.sub(r"^blocks\.(\d)\.", r"blocks.\1.\1.", name): tensor for name, tensor in state.items()}
    return state


@pytest.mark.parametrize("chunked", [False, True])
def test_dinov2_s_own_names_positions_and_registers(tmp_path: Path, chunked: bool) -> None:
    source = vit(**VITS["DINOv2 in timm"])
    file = saved(tmp_path / "dinov2.pth", dinov2(source, chunked=chunked))
    model = MultiMAE.from_pretrained(file, num_heads=2).eval()
    tokens_alike(model, source)
    report = str(model.load_report)
    assert "LayerScale of 2 blocks: folded into attn.proj and mlp.fc2" in report
    assert "global tokens: cls_token (1), register_tokens (4)" in report
    assert "patches of 14 pixels" in report
    assert "mask_token" in model.load_report.unexpected


def test_deit_iii_s_own_names_of_layer_scale(tmp_path: Path) -> None:
    source = vit(init_values=0.1)
    names = {"ls1.gamma": "gamma_1", "ls2.gamma": "gamma_2"}
    state = source.state_dict()
    for theirs, deit in names.items():
        state = {name.replace(theirs, deit): tensor for name, tensor in state.items()}
    model = encoder()
    load_backbone(model, saved(tmp_path / "deit.pth", {"model": state}))
    tokens_alike(model, source)


def test_a_head_of_a_global_token_reads_the_class_token(tmp_path: Path) -> None:
    source = vit(reg_tokens=3)
    model = MultiMAE.from_pretrained(saved(tmp_path / "vit.pth", source.state_dict()), num_heads=2).eval()
    source.norm = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        pooled = model.forward_layers({"rgb": images}).pooled("global")
        torch.testing.assert_close(pooled, source.forward_features(images)[:, 0], rtol=1e-4, atol=1e-4)


REFUSED: dict[str, tuple[Callable[[], State], str]] = {
    "normalised queries": (lambda: vit(qk_norm=True).state_dict(), r"q_norm\.weight.*queries and keys are normalised"),
    "a norm before": (lambda: vit(pre_norm=True).state_dict(), r"norm_pre\.weight.*before the blocks"),
    "RoPE": (
        lambda: {**vit(pos_embed="none").state_dict(), "rope_embed.periods": torch.ones(4)},
        r"rope_embed\.periods \(positions turn queries and keys \(RoPE",
    ),
    "no positions": (lambda: vit(pos_embed="none").state_dict(), r"no table of positions.*RoPE: DINOv3"),
    "relative positions": (
        lambda: {**vit().state_dict(), "blocks.0.attn.relative_position_bias_table": torch.ones(4, 2)},
        "positions are relative",
    ),
    "a gated MLP by name": (
        lambda: {name.replace("mlp.fc1", "mlp.w12"): t for name, t in vit().state_dict().items()},
        r"mlp\.w12\.weight.*gated",
    ),
    "a gated MLP by shape": (
        lambda: {n: torch.cat([t, t]) if "mlp.fc1" in n else t for n, t in vit().state_dict().items()},
        "MLP of block 0 is gated",
    ),
    "an oblong grid": (lambda: vit(img_size=(48, 64)).state_dict(), "a grid of patches that is no square"),
    "two grids fit": (
        lambda: {
            **{n: t for n, t in vit(reg_tokens=4).state_dict().items() if n != "pos_embed"},
            "pos_embed": torch.zeros(1, 9, 16),
        },
        "does not say which",
    ),
    "two encoders": (
        lambda: {f"{side}.{n}": t for side in ("left", "right") for n, t in vit().state_dict().items()},
        r"it holds 2 encoders, below 'left\.' and 'right\.'",
    ),
}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.replace(" ", "-"))
def test_what_computes_something_else_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    file = saved(tmp_path / "c.pth", make())
    with pytest.raises(ValueError, match=rf"c\.pth: .*{said}"):
        load_backbone(encoder(), file)


def half(images: Tensor) -> Tensor:
    """Normalise ImageNet's way undone, then by 0.5."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images * std[:, None, None] + mean[:, None, None] - 0.5) / 0.5


def test_pixels_of_another_normalisation_are_folded_into_the_projection(tmp_path: Path) -> None:
    source, model = vit(), encoder()
    report = load_backbone(model, saved(tmp_path / "augreg.pth", source.state_dict()), pixels="half")
    tokens_alike(model, source, to_theirs=half)
    assert "pixels 'half' (mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)): folded into input_adapters.rgb" in str(report)
    load_backbone(model, tmp_path / "augreg.pth")
    with pytest.raises(AssertionError):
        tokens_alike(model, source, to_theirs=half)  # the fold is what makes it so


def test_a_hub_s_config_beside_the_file_says_how_pixels_were_normalised(tmp_path: Path) -> None:
    source, model = vit(), encoder()
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    facts: dict[str, Any] = {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    (tmp_path / "config.json").write_text(json.dumps(facts))
    report = load_backbone(model, tmp_path / "model.safetensors")
    assert "pixels 'half'" in str(report)
    tokens_alike(model, source, to_theirs=half)
    assert "pixels" not in str(load_backbone(model, tmp_path / "model.safetensors", pixels="imagenet"))
    facts["pretrained_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (tmp_path / "config.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"mean \[0\.1, 0\.2, 0\.3\] .* none of imagenet, half"):
        load_backbone(model, tmp_path / "model.safetensors")


def test_words_after_a_file_say_how_it_is_read(tmp_path: Path) -> None:
    assert split_words("weights.pth") == ("weights.pth", Reading())
    assert split_words("weights.pth#model#half") == ("weights.pth", Reading(weights="model", pixels="half"))
    odd = saved(tmp_path / "fold#1.pth", {})
    assert split_words(str(odd)) == (str(odd), Reading())
    assert split_words(f"{odd}#ema") == (str(odd), Reading(weights="ema"))


def test_an_unknown_way_to_read_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean half"):
        load_backbone(encoder(), tmp_path / "c.pth", pixels="halv")
    with pytest.raises(ValueError, match="no way to read a file of weights 'emma'; did you mean ema"):
        split_words("weights.pth#emma")
    with pytest.raises(ValueError, match="#ema and #model of one file contradict each other"):
        split_words("weights.pth#ema#model")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, value: float) -> None:
    model, source = encoder(), ours()
    before = copy.deepcopy(model.state_dict())
    source.encoder[1].mlp.fc1.weight.data[0, :3] = value
    write_tensors(tmp_path / "c.pth", to_timm(in_a_model(source)))
    said = r"c\.pth holds weights that are not finite .* encoder\.1\.mlp\.fc1\.weight \(3 of 1024\)"
    with pytest.raises(ValueError, match=said):
        load_backbone(model, tmp_path / "c.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    with pytest.raises(ValueError, match="not finite"):
        export_checkpoint(tmp_path / "c.pth", tmp_path / "d.pth")
    assert not (tmp_path / "d.pth").exists()


def test_a_broken_decoder_does_not_matter_to_an_encoder(tmp_path: Path) -> None:
    state = in_a_model(ours())
    file = saved(tmp_path / "c.pth", {**state, "output_adapters.rgb.pos_emb": torch.full((1,), float("nan"))})
    assert not load_backbone(encoder(), file).missing


WRAPPED: dict[str, Callable[[str], str]] = {
    "parallel": lambda name: f"module.{name}",
    "compiled in parallel": lambda name: f"_orig_mod.module.{name}",
    "a compiled backbone": lambda name: name.replace("backbone.", "backbone._orig_mod."),
    "compiled blocks": lambda name: name.replace("encoder.0.", "encoder.0._orig_mod."),
    "recomputed blocks": lambda name: name.replace("encoder.1.", "encoder.1._checkpoint_wrapped_module."),
    "sharded": lambda name: f"_fsdp_wrapped_module.{name.replace('encoder.0.', 'encoder.0._fsdp_wrapped_module.')}",
    "Lightning": lambda name: f"model.{name}",
    "compiled Lightning": lambda name: f"model._orig_mod.{name}",
    "an average of torch's": lambda name: f"module.{name}",
    "DeepSpeed": lambda name: f"_forward_module.module.{name}",
    "somebody's module": lambda name: f"learner.net.{name}",
}


@pytest.mark.parametrize("layout", ["multimae", "reference", "timm"])
@pytest.mark.parametrize("wrapper", WRAPPED, ids=lambda wrapper: wrapper.replace(" ", "-"))
def test_wrappers_of_training_are_removed_wherever_they_stand(wrapper: str, layout: str, tmp_path: Path) -> None:
    source, model = ours(), encoder()
    state = in_a_model(source)
    state = {"multimae": dict, "reference": to_reference, "timm": to_timm}[layout](state)
    wrapped = {WRAPPED[wrapper](name): tensor for name, tensor in state.items()}
    beside = {"n_averaged": torch.tensor(3)} if "average" in wrapper else {}
    load_backbone(model, saved(tmp_path / "c.ckpt", {"state_dict": {**wrapped, **beside}, "epoch": 3}))
    assert same(model, source)


def test_two_names_of_one_parameter_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"'encoder\.0\.a' and 'encoder\.0\._orig_mod\.a' are both 'encoder\.0\.a'"):
        unwrapped({"encoder.0.a": 1, "encoder.0._orig_mod.a": 2})


def test_what_lies_beside_a_wrapped_model_is_named(tmp_path: Path) -> None:
    state = {f"model.backbone.{name}": tensor for name, tensor in ours().state_dict().items()}
    file = saved(tmp_path / "c.ckpt", {"state_dict": {**state, "criterion.weight": torch.ones(3)}})
    assert "criterion.weight" in load_backbone(encoder(), file).unexpected


def names(model: MultiMAE, prefix: str) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in to_timm(in_a_model(model)).items()}


def beside_names(trained: MultiMAE, average: MultiMAE) -> dict[str, Any]:
    """Return files that hold both, as the field's trainers write them."""
    plain, ema = names(trained, ""), names(average, "")
    return {
        "timm": {"state_dict": plain, "state_dict_ema": {f"module.{n}": t for n, t in ema.items()}, "arch": "vit"},
        "DeiT": {"model": plain, "model_ema": ema, "epoch": 3},
        "DINO": {
            "student": names(trained, "module.backbone."),
            "teacher": {**names(average, "backbone."), "head.mlp.0.weight": torch.ones(2)},
        },
        "mmengine": {
            "state_dict": names(average, "backbone."),
            "ema_state_dict": {"steps": torch.tensor(3), **names(trained, "module.backbone.")},
            "meta": {"mmengine_version": "0.10.7", "iter": 3},
        },
        "Lightning": {"state_dict": names(trained, "model.") | names(average, "model_ema.module."), "epoch": 3},
        "Lightning's DINO": {"state_dict": names(trained, "student.backbone.") | names(average, "teacher.backbone.")},
    }


KINDS = tuple(beside_names(ours(), ours()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.replace(" ", "-"))
def test_the_average_is_taken_where_there_is_one_and_the_user_may_choose(kind: str, tmp_path: Path) -> None:
    trained, average, model = ours(1), ours(2), encoder()
    file = saved(tmp_path / "c.pth", beside_names(trained, average)[kind])
    said = str(load_backbone(model, file))
    assert same(model, average)
    assert "an average over the training; beside them: " in said
    assert "weights='model' or 'ema' chooses" in said
    assert "as they were trained" in str(load_backbone(model, file, weights="model"))
    assert same(model, trained)
    load_backbone(model, file, weights="ema")
    assert same(model, average)


def test_an_average_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    file = saved(tmp_path / "c.pth", {"model": names(ours(), ""), "model_ema": None})
    with pytest.raises(ValueError, match=r"weights='ema' asks for an average .* there is only: model"):
        load_backbone(encoder(), file, weights="ema")
    with pytest.raises(ValueError, match="weights='model' asks for weights that are no average"):
        read_weights(saved(tmp_path / "d.pth", {"teacher": names(ours(), "")}), weights="model")
    assert "weights" not in str(load_backbone(encoder(), file))


def test_what_a_runner_of_mmengine_saves_is_read_and_nothing_of_it_runs(tmp_path: Path) -> None:
    hub = MessageHub("weights")
    hub.update_scalar("train/loss", 0.5)
    hub.update_info("epoch", np.float64(3))
    held = {"meta": {"mmengine_version": "0.10.7"}, "state_dict": names(ours(), ""), "message_hub": hub.state_dict()}
    assert len(read_weights(saved(tmp_path / "iter_3.pth", held)).state) == len(held["state_dict"])

    class Reaches:
        def __reduce__(self) -> Any:
            return getattr, (HistoryBuffer, "__init__")

    # What is let in for mmengine's sake reaches nothing.
    held["state_dict"]["x"] = Reaches()
    with pytest.raises(ValueError, match="wanted named tensors"):
        read_weights(saved(tmp_path / "reaches.pth", held))


def test_a_state_is_not_changed_by_its_translation() -> None:
    state = vit(init_values=0.1).state_dict()
    before = copy.deepcopy(state)
    from_timm(state)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.items())

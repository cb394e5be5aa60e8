"""Weights that a config or a line of Python names: OpenMMLab's `init_cfg` and `load_from`, `from_pretrained`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from multimae.backbone import MultiMAE
from multimae.checkpoints.files import read_weights, write_tensors
from multimae.checkpoints.formats import to_reference, to_timm
from multimae.checkpoints.loading import load_model
from multimae.registry import MODELS
from multimae.transfer import MultiMAETransfer
from tests.made.plain_vits import (
    BACKBONE,
    TINY,
    in_a_model,
    ours,
    same,
    saved,
    shaken,
)


def written(layout: str, path: Path) -> MultiMAE:
    source = ours()
    state = in_a_model(source)
    write_tensors(path, {"multimae": dict, "reference": to_reference, "timm": to_timm}[layout](state))
    return source


@pytest.mark.parametrize("how", ["init_cfg", "init_cfg in a list", "pretrained", "prefix"])
@pytest.mark.parametrize("layout", ["multimae", "reference", "timm"])
def test_a_config_s_init_cfg_loads_what_load_backbone_does(layout: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    source = written(layout, path)
    init: dict[str, Any] = {"type": "Pretrained", "checkpoint": str(path)}
    if how == "prefix":
        torch.save({"state_dict": {f"backbone.{n}": t for n, t in read_weights(path).state.items()}}, path)
        init["prefix"] = "backbone."
    asked = {"pretrained": str(path)} if how == "pretrained" else {"init_cfg": [init] if "list" in how else init}
    model = MODELS.build({**BACKBONE, **asked})
    assert not same(model, source)
    model.init_weights()
    assert same(model, source)
    assert not model.load_report.missing


WRONG_INIT: dict[str, tuple[dict[str, Any], str]] = {
    "another size": ({"depth": 3}, "lacks 12 of the model's parameters"),
    "another prefix": ({"init_cfg": {"prefix": "student."}}, r"nothing in it is named student\.\*"),
    "a web address": ({"init_cfg": {"checkpoint": "https://host/c.pth"}}, "is no file: download it"),
    "an unknown word": ({"init_cfg": {"chekpoint": "c"}}, "takes checkpoint, new_modalities"),
    "a missing file": ({"init_cfg": {"checkpoint": "nowhere.pth"}}, "No such file or directory: 'nowhere.pth'"),
    "a misspelt name": ({"init_cfg": {"checkpoint": "multimae-b-160e"}}, "did you mean multimae-b-1600e"),
}


@pytest.mark.parametrize("kind", WRONG_INIT, ids=lambda kind: kind.replace(" ", "-"))
def test_a_config_s_init_cfg_never_goes_on_from_random_weights(kind: str, tmp_path: Path) -> None:
    changes, said = WRONG_INIT[kind]
    written("reference", tmp_path / "c.pth")
    init = {"type": "Pretrained", "checkpoint": str(tmp_path / "c.pth"), **changes.get("init_cfg", {})}
    model = MODELS.build({**BACKBONE, **changes, "init_cfg": init})
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        model.init_weights()


def test_other_initialisers_come_before_the_file(tmp_path: Path) -> None:
    source = written("timm", tmp_path / "c.pth")
    file = {"type": "Pretrained", "checkpoint": str(tmp_path / "c.pth")}
    init = [file, {"type": "Constant", "layer": "Linear", "val": 3}]
    model = MODELS.build({**BACKBONE, "init_cfg": init})
    model.init_weights()
    assert same(model, source)
    assert model.init_cfg == init


def test_a_published_name_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multimae.checkpoints.locating.fetch", lambda checkpoint, **_: tmp_path / "c.pth")
    source = written("reference", tmp_path / "c.pth")
    assert same(MultiMAE.from_pretrained("multimae-b-1600e", num_heads=2), source)


HEAD = {"type": "linear", "num_outputs": 3}


def transfer(**changes: Any) -> MultiMAETransfer:
    return MultiMAETransfer(**{"backbone": BACKBONE, "head": HEAD, "loss": "l1", **changes})


def test_a_transfer_model_s_init_cfg_loads_the_head_as_well(tmp_path: Path) -> None:
    source = shaken(transfer())
    write_tensors(tmp_path / "c.pth", to_reference(source.state_dict(), task="cls"))
    init = {"type": "Pretrained", "checkpoint": str(tmp_path / "c.pth")}
    model = transfer(init_cfg=init)
    model.init_weights()
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in model.state_dict().items())
    write_tensors(tmp_path / "c.pth", to_reference({n: t for n, t in source.state_dict().items() if "head" not in n}))
    with pytest.raises(ValueError, match="lacks 4 of the model's parameters"):
        transfer(init_cfg=init).init_weights()


@pytest.mark.parametrize("prefix", [None, "output_adapters.cls."])
def test_a_head_s_own_init_cfg_reads_the_head_of_a_file(prefix: str | None, tmp_path: Path) -> None:
    source = shaken(transfer())
    write_tensors(tmp_path / "c.pth", to_reference(source.state_dict(), task="cls"))
    init = {"type": "Pretrained", "checkpoint": str(tmp_path / "c.pth"), "prefix": prefix}
    model = transfer(head={**HEAD, "init_cfg": init})
    model.init_weights()
    assert torch.equal(model.head.head.weight, source.head.head.weight)
    with pytest.raises(ValueError, match=r"2 parameters differ: head\.weight \(3, 16\), wanted \(4, 16\)"):
        transfer(head={**HEAD, "num_outputs": 4, "init_cfg": init}).init_weights()


def started(model: nn.Module, file: Path, *, folder: Path) -> None:
    """Let mmengine's Runner load a file as `load_from` does."""
    quiet: dict[str, Any] = {"default_hooks": {"logger": None}, "log_level": "ERROR", "default_scope": "multimae"}
    # mmengine keeps what it makes by the experiment's name.
    runner = Runner(model=model, work_dir=str(folder), load_from=str(file), experiment_name=str(folder), **quiet)
    runner.load_or_resume()


@pytest.mark.parametrize("kind", ["the reference's layout", "timm's layout", "another depth", "another size"])
def test_load_from_never_goes_on_without_the_weights(kind: str, tmp_path: Path) -> None:
    source = transfer().state_dict()
    shallow = {name: tensor for name, tensor in source.items() if "encoder.1." not in name}
    larger = transfer(backbone={**BACKBONE, "image_size": 96}).state_dict()
    held, said = {
        "the reference's layout": (to_reference(source, task="cls"), r"none of \d+ parameters .* of 'reference'"),
        "timm's layout": (to_timm(source), r"none of \d+ parameters .* layout of 'timm'"),
        "another depth": (shallow, r"part of .*lack .*encoder\.1\.\*"),
        "another size": (larger, r"pos_emb \(1, 16, 6, 6\), wanted"),
    }[kind]
    torch.save({"state_dict": held}, tmp_path / "c.pth")
    with pytest.raises(ValueError, match=said):
        started(transfer(), tmp_path / "c.pth", folder=tmp_path / "work")


def test_load_from_still_loads_what_fits_and_a_part_may_be_loaded(tmp_path: Path) -> None:
    source, model = shaken(transfer()), transfer()
    started(model, saved(tmp_path / "c.pth", {"state_dict": source.state_dict()}), folder=tmp_path / "work")
    assert same(model.backbone, source.backbone)
    head = {name: tensor for name, tensor in source.state_dict().items() if name.startswith("head.")}
    other = transfer()
    other.load_state_dict(head, strict=False)
    with_another_head = transfer(head={**HEAD, "num_outputs": 4})
    started(with_another_head, tmp_path / "c.pth", folder=tmp_path / "other")  # as is usual between data sets
    assert same(with_another_head.backbone, source.backbone)
    assert torch.equal(other.head.head.weight, source.head.head.weight)


SEGMENTOR = """
import sys, warnings
import torch
from mmengine.config import Config
warnings.simplefilter("ignore")
from mmengine.registry import init_default_scope
import mmseg.models
from mmseg.registry import MODELS
import multimae.registry
from multimae.checkpoints.loading import load_backbone

init_default_scope("mmseg")
encoder = dict(type="multimae.MultiMAE", modalities=["rgb"], image_size=64, dim=16, depth=2, num_heads=2)
head = dict(type="FCNHead", in_channels=16, channels=16, num_convs=1, num_classes=5, align_corners=False,
            norm_cfg=dict(type="BN"), loss_decode=dict(type="CrossEntropyLoss"))
init = dict(type="Pretrained", checkpoint=sys.argv[1])
for wanted in (dict(backbone=dict(init_cfg=init)), dict(pretrained=sys.argv[1])):
    backbone = {**encoder, **wanted.pop("backbone", {})}
    model = MODELS.build(Config(dict(type="EncoderDecoder", backbone=backbone, decode_head=head, **wanted)))
    model.init_weights()
    expected = multimae.registry.MODELS.build(dict(encoder))
    load_backbone(expected, sys.argv[1])
    state = expected.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.backbone.state_dict().items())
"""


def test_a_segmentor_of_mmsegmentation_starts_from_the_file(tmp_path: Path) -> None:
    written("reference", tmp_path / "c.pth")
    command = [sys.executable, "-c", SEGMENTOR, str(tmp_path / "c.pth")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


SHELL = """
import sys
import multimae
assert "torch" not in sys.modules
import inspect, pydoc, rlcompleter
completer = rlcompleter.Completer({"multimae": multimae})
found = [completer.complete("multimae.M", state) for state in range(8)]
assert any(name and name.startswith("multimae.MultiMAE(") or name == "multimae.MultiMAE" for name in found), found
assert set(multimae.__all__) <= set(dir(multimae)), dir(multimae)
shown = [name for name, value in inspect.getmembers(multimae, inspect.isclass)]
assert "MultiMAE" in shown and "MultiMAETransfer" in shown, shown
text = pydoc.plain(pydoc.render_doc(multimae))
assert "class MultiMAE(" in text and "from_pretrained(" in text and "load_backbone(" in text
"""


def test_tab_completion_and_help_show_the_public_names() -> None:
    done = subprocess.run([sys.executable, "-c", SHELL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_from_pretrained_builds_what_the_file_holds(tmp_path: Path) -> None:
    settings = {"modalities": ["depth", "rgb", "semseg"], "num_semseg_classes": 5, "dim_class_emb": 4, "mlp_ratio": 2.0}
    source = MultiMAE(**{**TINY, **settings, "semseg_padding": "extra_class", "num_global_tokens": 2})
    write_tensors(tmp_path / "c.pth", in_a_model(source))
    model = MultiMAE.from_pretrained(tmp_path / "c.pth", num_heads=2)
    assert same(model, source)
    assert model.modalities == ("depth", "rgb", "semseg")
    assert model.input_adapters["semseg"].class_emb.padding_idx == 5
    assert len(model.load_report.loaded) == len(source.state_dict())
    part = MultiMAE.from_pretrained(tmp_path / "c.pth", num_heads=2, modalities=["rgb"], image_size=96)
    assert part.load_report.resized == ("input_adapters.rgb.pos_emb",)
    with pytest.raises(ValueError, match=r"width 16 do not say into how many heads .* pass num_heads"):
        MultiMAE.from_pretrained(tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"lacks 3 .*normal.* new_modalities"):
        MultiMAE.from_pretrained(tmp_path / "c.pth", num_heads=2, modalities=["rgb", "normal"])


def test_configs_keep_their_way_to_ask(tmp_path: Path) -> None:
    """A file's word in a config of text, as mmengine reads it."""
    source = written("timm", tmp_path / "c.pth")
    (tmp_path / "config.py").write_text(
        f"model = dict(type='multimae.MultiMAE', modalities=['rgb'], image_size=64, dim=16, depth=2, num_heads=2, "
        f"init_cfg=dict(type='Pretrained', checkpoint={str(tmp_path / 'c.pth')!r}))\n"
    )
    model = MODELS.build(Config.fromfile(tmp_path / "config.py").model)
    model.init_weights()
    assert same(model, source)


def test_load_model_chooses_too(tmp_path: Path) -> None:
    trained, average, model = shaken(transfer(), 1), shaken(transfer(), 2), transfer()
    file = saved(tmp_path / "c.pth", {"model": trained.state_dict(), "model_ema": average.state_dict()})
    load_model(model, file, weights="model")
    assert torch.equal(model.head.head.weight, trained.head.head.weight)
    load_model(model, file)
    assert torch.equal(model.head.head.weight, average.head.head.weight)

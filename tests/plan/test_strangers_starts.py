"""Sweeps that start from strangers' files: what the plan knows of them without torch, says, and refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from experiments.plan.datasource import find_data
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.planning import PlannedRun, make_plan
from experiments.plan.render import render
from experiments.plan.settings import resolve_recipes
from experiments.plan.show import plan_as_json, print_plan
from experiments.plan.starts import resolve_starts
from experiments.plan.suite import expand, load_suite
from multimae.checkpoints.formats import to_reference
from multimae.checkpoints.loading import load_backbone
from multimae.checkpoints.shapes import EncoderShape, encoder_shape
from multimae.registry import MODELS
from tests.made.plain_vits import ours, saved, vit

SUITE = "nyuv2"
# The tiny size of the suites, so that a run can load it.
TINY = {"embed_dim": 128, "depth": 4, "num_heads": 4}
DINOV2 = {**TINY, "img_size": 56, "patch_size": 14, "reg_tokens": 4, "no_embed_class": True, "init_values": 0.1}


def plan(*checkpoints: str, overrides: tuple[str, ...] = ()) -> dict[str, PlannedRun]:
    """Return one planned transfer of RGB per start."""
    suite = load_suite(SUITE)
    names, weights = resolve_starts(suite, chosen=checkpoints, profile="cpu")
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=overrides)
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=names, weights=weights)
    runs = tuple(run for run in runs if run.inputs == ("rgb",) and run.task.kind == "semseg")
    data = {runs[0].dataset_name: find_data(SUITE, data_root=None, runs=runs)}
    return {planned.run.checkpoint: planned for planned in make_plan(runs, data=data)}


FILES: dict[str, tuple[dict[str, Any], EncoderShape]] = {
    "plain": ({}, EncoderShape(patch_size=16, num_global_tokens=1)),
    "registers": ({"reg_tokens": 4}, EncoderShape(patch_size=16, num_global_tokens=5)),
    "fourteen": ({"img_size": 56, "patch_size": 14}, EncoderShape(patch_size=14, num_global_tokens=1)),
    "no class token": (
        {"class_token": False, "global_pool": "avg"},
        EncoderShape(patch_size=16, num_global_tokens=0),
    ),
}


@pytest.mark.parametrize("container", ["zip", "before zip", "safetensors"])
@pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.replace(" ", "-"))
def test_shapes_are_read_without_torch(kind: str, container: str, tmp_path: Path) -> None:
    changes, expected = FILES[kind]
    state = vit(**changes).state_dict()
    path = tmp_path / ("c.safetensors" if container == "safetensors" else "c.pth")
    if container == "safetensors":
        save_file(state, path)
    else:
        wrapped = {f"module.backbone.{name}": torch.nn.Parameter(tensor) for name, tensor in state.items()}
        held = {"teacher": wrapped, "epoch": 3, "optimizer": torch.optim.SGD([torch.ones(1)], lr=1.0).state_dict()}
        torch.save(held, path, _use_new_zipfile_serialization=container == "zip")
    assert encoder_shape(path) == expected


@pytest.mark.parametrize("layout", ["ours", "the reference's"])
def test_shapes_of_our_layouts(layout: str, tmp_path: Path) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in ours().state_dict().items()}
    saved(tmp_path / "c.pth", {"model": state if layout == "ours" else to_reference(state)})
    assert encoder_shape(tmp_path / "c.pth") == EncoderShape(patch_size=16, num_global_tokens=1)


class RunsCode:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_reading_shapes_runs_nothing(tmp_path: Path, zipped: bool) -> None:
    held = {"model": vit().state_dict(), "args": RunsCode(tmp_path / "trace")}
    torch.save(held, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    assert encoder_shape(tmp_path / "c.pth") == EncoderShape(patch_size=16, num_global_tokens=1)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04" + bytes(99), b"\x80\x02}."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_only_torch_could_tell_is_left_to_it(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"c{suffix}").write_bytes(content)
    if content == b"\x80\x02}." and suffix == ".pth":
        content = b""  # a pickle of an empty dict is no file of torch's
    assert encoder_shape(tmp_path / f"c{suffix}") is None


def test_a_run_follows_the_patches_and_tokens_of_its_checkpoint_where_the_user_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = vit(**DINOV2)
    file = saved(tmp_path / "dinov2.pth", source.state_dict())
    overrides = ("recipe.patch_size=0", "recipe.input_size=56")
    with pytest.raises(UsageError, match=r"scratch.* input_size 56 does not divide into patches of 16 pixels"):
        plan(f"dinov2={file}", "scratch", overrides=overrides)
    planned = plan(f"dinov2={file}", overrides=overrides)
    config = render(planned["dinov2"])
    model = MODELS.build(config["model"])
    assert (model.backbone.patch_size, model.backbone.num_global_tokens) == (14, 5)
    assert "patches of 14 pixels" in str(load_backbone(model.backbone, config["job"]["init_from"]))
    standard = next(item for item in config["job"]["evaluations"] if item["protocol"] == "standard")
    assert standard["dataloader"]["dataset"]["pipeline"]["multiple_of"] == 14
    print_plan([*planned.values()], standings={planned["dinov2"].key: "new"}, kept=0)
    assert "dinov2: patches of 14 pixels, 5 global tokens" in capsys.readouterr().out
    (row,) = plan_as_json([*planned.values()], standings={planned["dinov2"].key: "new"}, reasons={})
    assert (row["patch_size"], row["num_global_tokens"]) == (14, 5)


def test_scratch_and_usual_weights_keep_their_names_and_patches(tmp_path: Path) -> None:
    file = saved(tmp_path / "vit.pth", vit(**TINY).state_dict())
    usual = plan(f"vit={file}", "scratch")
    assert "recipe.patch_size" not in usual["vit"].parts["config"]
    assert usual["vit"].parts["checkpoint"]["vit"].isalnum()
    for planned in usual.values():
        assert render(planned)["model"]["backbone"]["patch_size"] == 16
        assert "num_global_tokens" not in render(planned)["model"]["backbone"]
        assert "read_as" not in render(planned)["job"]
    followed = plan(f"vit={file}", "scratch", overrides=("recipe.patch_size=0",))
    assert {planned.run.patch_size for planned in followed.values()} == {16}
    assert followed["vit"].key != usual["vit"].key


def test_other_patches_than_the_checkpoint_s_are_refused_when_planning(tmp_path: Path) -> None:
    file = saved(tmp_path / "dinov2.pth", vit(**DINOV2).state_dict())
    with pytest.raises(UsageError, match=r"has patches of 14 pixels, the recipe's have 16; --set recipe\.patch_size=0"):
        plan(f"dinov2={file}")
    with pytest.raises(UsageError, match=r"input_size 64 .*--set recipe\.input_size=56 or --set recipe\.input_size=70"):
        plan(f"dinov2={file}", overrides=("recipe.patch_size=0", "recipe.input_size=64"))
    with pytest.raises(UsageError, match=r"pretrain has patches of 16 pixels, the recipe's have 32"):
        plan("pretrain", overrides=("recipe.patch_size=32",))
    (tmp_path / "odd.pth").write_bytes(b"weights")
    with pytest.raises(UsageError, match=r"odd\.pth cannot be told without loading it; give its number"):
        plan(f"odd={tmp_path / 'odd.pth'}", overrides=("recipe.patch_size=0",))


def test_which_weights_and_pixels_are_part_of_a_run_s_identity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, average = (vit(**TINY).state_dict() for _ in range(2))
    file = saved(tmp_path / "w.pth", {"model": trained, "model_ema": {n: t + 1 for n, t in average.items()}})
    planned = plan(f"a={file}", f"b={file}#model", f"c={file}#model#half")
    digests = {name: run.parts["checkpoint"][name] for name, run in planned.items()}
    assert digests["b"] == f"{digests['a']}#model"
    assert digests["c"] == f"{digests['a']}#model#half"
    assert render(planned["c"])["job"]["read_as"] == {"weights": "model", "pixels": "half"}
    print_plan([*planned.values()], standings={run.key: "new" for run in planned.values()}, kept=0)
    assert "c: #model, #half" in capsys.readouterr().out
    model = MODELS.build(render(planned["b"])["model"]).backbone
    said = load_backbone(model, file, **render(planned["b"])["job"]["read_as"])
    assert "weights: model, as they were trained" in str(said)
    assert torch.equal(model.encoder[0].norm1.bias, trained["blocks.0.norm1.bias"])


def test_a_hub_s_config_is_read_when_planning_and_kept_in_the_run(tmp_path: Path) -> None:
    save_file(vit(**TINY).state_dict(), tmp_path / "model.safetensors")
    facts = {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    (tmp_path / "config.json").write_text(json.dumps(facts))
    run = plan(f"augreg={tmp_path / 'model.safetensors'}")["augreg"]
    assert render(run)["job"]["read_as"] == {"weights": "auto", "pixels": "half"}
    assert run.parts["checkpoint"]["augreg"].endswith("#half")


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("#emma", UsageError, "did you mean ema"),
        ("#ema", PreconditionError, "weights='ema' asks for an average over the training, but there is only: model"),
    ],
)
def test_a_wrong_word_after_a_file_is_refused(tmp_path: Path, words: str, error: type[Exception], said: str) -> None:
    file = saved(tmp_path / "w.pth", {"model": vit().state_dict()})
    with pytest.raises(error, match=said):
        plan(f"w={file}{words}")


def test_a_dry_run_with_files_imports_no_torch(tmp_path: Path) -> None:
    file = saved(tmp_path / "w.pth", vit(**TINY).state_dict())
    script = (
        "import sys; from experiments.sweep import main; code = main(sys.argv[1:]); "
        "assert code == 0 and 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", script, "--suite", SUITE, "--checkpoints", f"w={file}"]
    done = subprocess.run(
        [*command, "--dry-run", "--runs-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]

"""Every suite expands to runs whose configs build, train a step and score."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from benchmarks import imagenet
from benchmarks.recipes import TransferRecipe
from experiments.plan.datasource import find_all_data, find_data
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.render import render
from experiments.plan.settings import resolve_recipes
from experiments.plan.starts import resolve_starts
from experiments.plan.suite import SUITES_DIR, Pretraining, Suite, Transfer, expand, load_suite
from multimae.engine import optim  # noqa: F401  # registers what configs name
from multimae.registry import EVALUATORS, MODELS
from tests.made.tinydata import write_frames

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))
SUITES = sorted(path.stem for path in SUITES_DIR.glob("*.py") if path.stem != "__init__")


def plan_of(suite: Suite, *, data: Data | None = None, profile: Any = "cpu", seeds: tuple[int, ...] = (0,)) -> Any:
    runs = expand(
        suite,
        recipes=resolve_recipes(suite.tasks, profile=profile, overrides=()),
        profile=profile,
        size=suite.sizes[profile],
        seeds=seeds,
        checkpoints=suite.checkpoints,
    )
    found = {run.dataset_name: data for run in runs} if data else find_all_data(runs, data_root=None)
    return make_plan(runs, data=found)


def different(plan: tuple[PlannedRun, ...]) -> dict[str, PlannedRun]:
    """Keep one run of each task and set of inputs: where the weights come from changes no shape."""
    return {f"{planned.run.task.name}-{'+'.join(planned.run.inputs)}": planned for planned in plan}


def test_what_a_network_could_predict_is_said_where_it_is_missing(tmp_path: Path) -> None:
    suite, data_root = load_suite("nyuv2-semseg"), write_frames(tmp_path)
    runs = expand(
        suite,
        recipes=resolve_recipes(suite.tasks, profile="cpu", overrides=()),
        profile="cpu",
        size="tiny",
        seeds=(0,),
        checkpoints=suite.checkpoints,
    )
    said = r"no folder .*pseudo_semseg; in .*\nnyuv2-pretrain-.* reads it; `multimae data pseudo-label` predicts"
    with pytest.raises(PreconditionError, match=said):
        find_all_data(runs, data_root=data_root)


@pytest.mark.parametrize("name", SUITES)
def test_every_run_of_a_suite_trains_a_step_on_rooms_and_can_be_scored(name: str) -> None:
    suite = load_suite(name)
    for planned in different(plan_of(suite)).values():
        train_a_step(render(planned))


def train_a_step(config: dict[str, Any]) -> None:
    import_modules_from_strings(**config["custom_imports"])
    torch.manual_seed(0)
    model = MODELS.build(config["model"]).train()
    loader = config["train_dataloader"]
    loader["dataset"] |= {"limit": 8, "val_ratio": 0.0, "cache": "none", "train_ratio": 1.0}
    batch = next(iter(Runner.build_dataloader({**loader, "batch_size": 4}, seed=0)))
    if config["job"]["fit"] == "neighbours":
        model.eval().remember(batch["inputs"], targets=batch["targets"])
    else:
        wrapper = build_optim_wrapper(model, config["optim_wrapper"])
        logged = model.train_step(batch, wrapper)
        assert all(value.isfinite().all() for value in logged.values()), logged
    for item in config["job"]["evaluations"]:
        item["dataloader"]["dataset"]["limit"] = 2
        batch = next(iter(Runner.build_dataloader(item["dataloader"], seed=0)))
        if item["evaluator"]:
            evaluator = EVALUATORS.build(item["evaluator"])
            with torch.no_grad():
                evaluator.process(batch, model.eval().val_step(batch))
            assert evaluator.evaluate(len(batch["meta"]["name"]))


MINE = """
from benchmarks.nyuv2 import PRETRAINING
from experiments.plan.suite import Pretraining, Suite
SUITE = Suite(
    name="normals", title="Normals", dataset="rooms", transfers=(), checkpoints=("pretrain",), sizes={"cpu": "tiny"},
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "depth", "semseg", "normal")),),
)
"""


def test_normals_are_a_fourth_modality(tmp_path: Path) -> None:
    (tmp_path / "normals.py").write_text(MINE)
    suite = load_suite(str(tmp_path / "normals.py"))
    (planned,) = plan_of(suite)
    config = render(planned)
    assert config["model"]["outputs"] == ["rgb", "depth", "semseg", "normal", "norm_rgb"]
    train_a_step(config)


def test_few_labels_partial_tuning_and_fresh_inputs_reach_the_config() -> None:
    suite = load_suite("nyuv2")
    changed = {
        task.name: replace(task.recipes["cpu"], train_ratio=0.1, tuning="partial", num_tuned_blocks=1)
        for task in suite.tasks
        if isinstance(task.recipes["cpu"], TransferRecipe)
    }
    recipes = {**resolve_recipes(suite.tasks, profile="cpu", overrides=()), **changed}
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("scratch",))
    data = find_data("nyuv2", data_root=None, runs=runs)
    config = render(make_plan(runs, data={runs[0].dataset_name: data})[0])
    assert config["model"]["num_tuned_blocks"] == 1
    assert config["train_dataloader"]["dataset"]["train_ratio"] == 0.1
    assert "train_ratio" not in config["job"]["evaluations"][0]["dataloader"]["dataset"]


@pytest.mark.parametrize("tuning", ["full", "partial", "frozen", "linear", "knn"])
def test_every_suite_can_be_measured_in_every_way(tuning: str) -> None:
    suite = load_suite("nyuv2")
    chosen = (f"recipe.tuning={tuning}", "recipe.num_tuned_blocks=2")
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=chosen)
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("scratch",))
    data = find_data("nyuv2", data_root=None, runs=runs)
    for planned in different(make_plan(runs, data={runs[0].dataset_name: data})).values():
        config = render(planned)
        train_a_step(config)
        model = MODELS.build(config["model"])
        trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
        assert ("backbone" in trained) == (tuning in ("full", "partial"))


def test_class_embeddings_decay_only_where_parity_asks_for_it() -> None:
    suite = load_suite("nyuv2")
    spared = {}
    for choice in ("none", "parity"):
        recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=(f"recipe.decayed_embeddings={choice}",))
        run = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("scratch",))[0]
        data = find_data("nyuv2", data_root=None, runs=[run])
        config = render(make_plan([replace(run, inputs=("rgb", "semseg"))], data={run.dataset_name: data})[0])
        model = MODELS.build(config["model"])
        embedding = model.get_parameter("backbone.input_adapters.semseg.class_emb.weight")
        groups = build_optim_wrapper(model, config["optim_wrapper"]).optimizer.param_groups
        spared[choice] = [group["weight_decay"] for group in groups if any(p is embedding for p in group["params"])]
    assert spared == {"none": [0.0], "parity": [0.05]}


def test_transfers_start_from_files_and_from_named_pretrainings(tmp_path: Path) -> None:
    suite = load_suite("nyuv2")
    file = tmp_path / "mine.pth"
    file.write_bytes(b"weights")
    names, weights = resolve_starts(suite, chosen=(f"own={file}", "scratch"), profile="cpu")
    assert names == ("own", "scratch")
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=())
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=names, weights=weights)
    assert not any(run.task.kind == "pretraining" for run in runs)
    data = find_data("nyuv2", data_root=None, runs=runs)
    planned = make_plan(runs, data={runs[0].dataset_name: data})[0]
    assert render(planned)["job"]["init_from"] == str(file)
    file.write_bytes(b"other weights")
    _, changed = resolve_starts(suite, chosen=(f"own={file}",), profile="cpu")
    assert changed[0].digest != weights[0].digest


@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        ("pretrian", UsageError, "did you mean pretrain"),
        ("multimae-b-1600", UsageError, "did you mean multimae-b-1600e"),
        ("mine=nowhere.pth", PreconditionError, "no file of weights at nowhere.pth"),
        ("nowhere.pth", PreconditionError, "no file of weights at nowhere.pth"),
    ],
)
def test_a_wrong_start_says_what_was_meant(chosen: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        resolve_starts(load_suite("nyuv2"), chosen=(chosen,), profile="cpu")
    assert said in str(raised.value)


def test_a_task_of_classes_wants_data_with_classes(tmp_path: Path) -> None:
    from tests.made import tiny_dataset

    suite = Suite(
        name="mine",
        title="mine",
        dataset="nyuv2",
        pretrainings=(),
        transfers=(Transfer(task=imagenet.CLASSIFICATION, inputs=("rgb",)),),
        checkpoints=("scratch",),
        sizes={"cpu": "tiny"},
    )
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=())
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("scratch",))
    with pytest.raises(PreconditionError, match=r"needs classes, but .* has none: put the files into class folders"):
        find_data("nyuv2", data_root=tiny_dataset.write(tmp_path), runs=runs)


def test_two_pretrainings_are_told_apart_by_name() -> None:
    base = load_suite("nyuv2").pretrainings[0]
    suite = replace(
        load_suite("nyuv2"),
        pretrainings=(base, Pretraining(name="rgb", task=base.task.variant("nyuv2-rgb-pretrain"), inputs=("rgb",))),
        checkpoints=("pretrain", "rgb", "scratch"),
    )
    plan = plan_of(suite)
    keys = {planned.run.provides: planned.key for planned in plan if planned.run.provides}
    for planned in plan:
        if planned.run.task.kind != "pretraining":
            assert planned.depends_on == ((keys[planned.run.checkpoint],) if planned.run.checkpoint in keys else ())

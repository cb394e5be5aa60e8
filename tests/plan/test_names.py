"""Names in a rendered config are those of constructors' parameters, and a recipe's field keeps its name there."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from mmengine.registry import DATA_SAMPLERS, FUNCTIONS, LOOPS, OPTIM_WRAPPERS, OPTIMIZERS

from benchmarks.kinds import kind
from benchmarks.recipes import Recipe
from experiments.plan.datasource import find_all_data
from experiments.plan.planning import PlannedRun, make_plan
from experiments.plan.render import render
from experiments.plan.settings import resolve_recipes
from experiments.plan.suite import SUITES_DIR, Profile, Suite, expand, load_suite
from multimae.backbone import MultiMAE
from multimae.engine.optim import balanced_setting, parameter_setting
from multimae.mixing import Mixing
from multimae.registry import (
    DATASETS,
    EVALUATORS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)

SUITES = sorted(path.stem for path in SUITES_DIR.glob("*.py") if path.stem != "__init__")
REGISTRIES = (
    *(MODELS, DATASETS, TRANSFORMS, EVALUATORS, PARAM_SCHEDULERS, OPTIM_WRAPPER_CONSTRUCTORS),
    *(DATA_SAMPLERS, FUNCTIONS, LOOPS, OPTIM_WRAPPERS, OPTIMIZERS),
)
# Given by whoever builds the part, not by its config.
LOADER = set(inspect.signature(torch.utils.data.DataLoader).parameters)
PARAMWISE = {*inspect.signature(parameter_setting).parameters, *inspect.signature(balanced_setting).parameters}

RENAMED: Mapping[tuple[str, str], str] = {
    ("input_size", "size"): "the pipelines' word, which configs of finished runs hold that are read again",
    ("input_size", "image_size"): "the published model's word",
    ("micro_batch_size", "batch_size"): "torch's word for what a loader gives at a time",
    ("patch_size", "multiple_of"): "what a pipeline that keeps the aspect makes both sides divide by",
    ("beta1", "betas"): "torch's word",
    ("beta2", "betas"): "torch's word",
    ("beta1", "momentum"): "timm's word",
    ("clip_grad", "max_norm"): "torch's word, in the dict `clip_grad`",
    ("num_train_images", "limit"): "a folder reads one split and does not know which it serves",
    ("num_val_images", "limit"): "a folder reads one split and does not know which it serves",
    ("paper_num_images", "num_images"): "an evaluation is of one protocol and does not know which",
}
"""Fields that go on under another name, and why."""


def plan_of(suite: Suite, *, profile: Profile, overrides: tuple[str, ...] = ()) -> tuple[PlannedRun, ...]:
    runs = expand(
        suite,
        recipes=resolve_recipes(suite.tasks, profile=profile, overrides=overrides),
        profile=profile,
        size=suite.sizes[profile],
        seeds=(0,),
        checkpoints=("scratch",) if suite.transfers else suite.checkpoints,
    )
    return make_plan(runs, data=find_all_data(runs, data_root=None))


def built(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a config that a registry builds."""
    if isinstance(config, dict):
        if "type" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list | tuple):
        for part in config:
            yield from built(part)


def parameters(name: str) -> set[str]:
    """Return the names of the parameters of what is registered under a name, those of its bases' `**rest` included."""
    found = next(found for registry in REGISTRIES if (found := registry.get(name)) is not None)
    classes = inspect.getmro(found) if inspect.isclass(found) else (found,)
    names: set[str] = set()
    for one in classes:
        signature = inspect.signature(one.__init__ if inspect.isclass(one) else one)
        names |= set(signature.parameters)
        if not any(item.kind == inspect.Parameter.VAR_KEYWORD for item in signature.parameters.values()):
            break
    return names


@pytest.mark.parametrize("overrides", [(), ("recipe.tuning=knn",), ("recipe.tuning=linear",)], ids=str)
@pytest.mark.parametrize("name", SUITES)
def test_every_rendered_key_is_a_parameter(name: str, overrides: tuple[str, ...]) -> None:
    suite = load_suite(name)
    for profile in ("cpu", "paper"):
        for planned in plan_of(suite, profile=profile, overrides=overrides):
            config = render(planned)
            for part in built({key: value for key, value in config.items() if key != "optim_wrapper"}):
                unknown = set(part) - {"type"} - parameters(part["type"])
                assert not unknown, (planned.run.name, part["type"], unknown)
            loaders = [config["train_dataloader"], *(item["dataloader"] for item in config["job"]["evaluations"])]
            assert all(set(loader) <= LOADER for loader in loaders)
            wrapper = config["optim_wrapper"]
            assert set(wrapper["optimizer"]) - {"type"} <= parameters(wrapper["optimizer"]["type"])
            assert set(wrapper.get("paramwise_cfg", {})) <= PARAMWISE
            mixing = config["model"].get("mixing", {})
            assert set(mixing) <= set(inspect.signature(Mixing).parameters)
            assert set(config["model"]["backbone"]) - {"type"} <= set(inspect.signature(MultiMAE).parameters)


def leaves(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value of a config with the keys that lead to it."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(config, list) and any(isinstance(part, dict) for part in config):
        for number, part in enumerate(config):
            yield from leaves(part, (*path, str(number)))
    else:
        yield path, config


def other(recipe: Recipe, field: str) -> Any:
    """Return a value of a field that stands nowhere else in a config."""
    hint = get_type_hints(type(recipe))[field]
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != getattr(recipe, field))
    if get_origin(hint) is tuple:
        return (0.4271,) if get_args(hint)[0] is float else ()
    return {int: 4271, float: 0.4271, str: "rand-m3-n7"}[hint]


def holds(value: Any, *, wanted: Any) -> bool:
    plain = list(wanted) if isinstance(wanted, tuple) else wanted
    among = isinstance(value, list | tuple) and wanted in value
    return type(value) is not bool and (among or value in (plain, wanted))


@pytest.mark.parametrize("suite", ["transfer", "pretrain"])
def test_a_field_that_is_passed_on_keeps_its_name(suite: str) -> None:
    seen: set[str] = set()
    for planned in {one.run.task.kind: one for one in plan_of(load_suite(suite), profile="cpu")}.values():
        own = replace(planned.run.recipe, val_ratio=0.25)
        for field in (one.name for one in fields(own)):
            value = other(own, field)
            # A batch consists of whole micro-batches.
            recipe = replace(own, batch_size=3 * value) if field == "micro_batch_size" else own
            changed = replace(recipe, **{field: value})
            before, after = (
                dict(leaves(render(replace(planned, run=replace(planned.run, recipe=one)))))
                for one in (recipe, changed)
            )
            for path, found in after.items():
                if before.get(path) == found or not holds(found, wanted=value):
                    continue
                key = path[-1]
                assert key == field or (field, key) in RENAMED, (planned.run.task.kind, field, path)
                seen.add(field)
    assert {"hflip_prob", "lr", "input_size"} <= seen
    assert seen >= ({"layer_decay", "scale_min", "color_jitter_prob"} if suite == "transfer" else {"crop_scale_max"})


def test_a_task_is_checked_by_its_kind() -> None:
    task = load_suite("nyuv2").transfers[0].task
    with pytest.raises(ValueError, match="no kind of task 'semsge'; did you mean semseg"):
        replace(task, kind="semsge")
    with pytest.raises(ValueError, match="a task of kind 'regression' names the modality it predicts"):
        replace(task, kind="regression")
    with pytest.raises(ValueError, match="a task of kind 'pretraining' has no head"):
        replace(task, kind="pretraining")
    with pytest.raises(ValueError, match="recipes of a task of kind 'classification' are ClassificationRecipes"):
        replace(task, kind="classification")
    assert kind("regression").wants_target


def test_plain_dicts_are_frozen_inside() -> None:
    suite = load_suite("nyuv2")
    recipes = {"cpu": suite.transfers[0].task.recipes["cpu"]}
    task = replace(suite.transfers[0].task, recipes=recipes)
    recipes.clear()
    assert set(task.recipes) == {"cpu"}
    for frozen in (task.recipes, task.head_settings, suite.sizes):
        with pytest.raises(TypeError):
            frozen["cpu"] = None  # type: ignore[index]

"""Render a planned run to the mmengine config its job executes: a pure function to plain values."""

import ast
import math
import pprint
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from benchmarks.kind import Config
from benchmarks.recipes import Recipe
from experiments.plan.images import images_of
from experiments.plan.planning import Data, PlannedRun, kind_of, modules_of, setup_of
from experiments.plan.render_data import evaluations, micro_batch_size, train_dataloader, validation
from experiments.plan.suite import SuiteRun
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.places import Places
from multimae.tables.sizes import SIZES

LOGS_PER_RUN = 100
CHECKPOINTS_PER_RUN = 20
Keep = Literal["weights", "all", "none"]
"""What a finished run keeps of its checkpoints: the weights, the state of the optimizer as well, or nothing."""


def render(planned: PlannedRun, *, keep: Keep = "weights") -> Config:
    """Return the config of a run; everything a job needs is in it, so that it can be read and run again alone.

    A pre-training keeps its weights at least, for others to start from.
    """
    run, recipe, data, kind = planned.run, planned.run.recipe, planned.data, kind_of(planned.run)
    steps = num_steps(run, data=data)
    config: Config = {
        "custom_imports": {"imports": list(modules_of(run, data=data)), "allow_failed_imports": False},
        "default_scope": "mmengine",
        "model": _model(run, data=data),
        "train_dataloader": train_dataloader(run, data=data),
        "train_cfg": {
            "type": "multimae.StepLoop",
            "max_iters": steps,
            "num_micro_batches": recipe.batch_size // micro_batch_size(recipe),
            "loss_average": recipe.loss_average,
        },
        "optim_wrapper": _optim_wrapper(run),
        "param_scheduler": [_schedule(recipe, steps=steps)],
        "randomness": {"seed": run.seed},
        **({"compile": True} if recipe.compile == "default" else {}),
        "job": {
            "kind": run.task.kind,
            "target": kind.predicts(run.task.target),
            "dataset": data.for_jobs,
            "fit": kind.fit(recipe),
            "init_from": places_of(planned).weights or None,
            **_read_as(run),
            "new_modalities": list(kind.new_modalities(recipe)),
            "log_interval": max(1, steps // LOGS_PER_RUN),
            "checkpoint_interval": max(1, steps // CHECKPOINTS_PER_RUN),
            "keep_checkpoints": "weights" if keep == "none" and run.provides else keep,
            # A trial is judged at its rungs and at the end, the curve in between is not drawn.
            "validation_interval": steps if run.judged_on == "val" else math.ceil(steps / recipe.num_evaluations),
            **({"rungs": list(run.rungs)} if run.rungs else {}),
            "validation": validation(run, data=data),
            "selection": kind.selection(recipe),
            "evaluations": evaluations(run, data=data),
        },
    }
    return config


def as_python(config: Mapping[str, Any], *, title: str) -> str:
    """Write a config as the Python file mmengine reads, one assignment a top-level key."""
    assignments = (f"{name} = {pprint.pformat(value, width=110, sort_dicts=False)}" for name, value in config.items())
    return f'"""{title}"""\n\n' + "\n".join(assignments) + "\n"


def from_python(text: str) -> Config | None:
    """Read what `as_python` wrote; None where somebody has made more than plain values of it."""
    try:
        assignments = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
        return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assignments}
    except (SyntaxError, ValueError):
        return None


def num_steps(run: SuiteRun, *, data: Data) -> int:
    """Return how many optimizer steps a training takes, whatever micro-batches they are made of.

    An epoch leaves out its last, smaller step, as the reference's do. Nearest neighbours look at everything once.
    """
    recipe = run.recipe
    trained_on = images_of(run, data=data).train
    if kind_of(run).fit(recipe) == "neighbours":
        return math.ceil(trained_on / micro_batch_size(recipe))
    return recipe.epochs * max(1, trained_on // recipe.batch_size)


def learning_rate(recipe: Recipe) -> float:
    """Return the absolute learning rate: `base_lr` is per 256 samples of a step (Goyal et al., 2017)."""
    return recipe.base_lr * recipe.batch_size / 256 if recipe.base_lr else recipe.lr


def places_of(planned: PlannedRun) -> Places:
    """Return where a run reads now."""
    weights = str(planned.run.weights.path) if planned.run.weights else ""
    if planned.depends_on:
        weights = str(CheckpointDir(RunDir(Path("..") / planned.depends_on[0]).checkpoints).last)
    return Places(data=str(planned.data.root), weights=planned.start or weights)


def _read_as(run: SuiteRun) -> Config:
    """Say how a file of weights is read, where that is not as usual."""
    if run.weights is None or not run.weights.reading.words:
        return {}
    return {"read_as": {"weights": run.weights.reading.weights, "pixels": run.weights.reading.pixels}}


def _model(run: SuiteRun, *, data: Data) -> Config:
    size, dataset = SIZES[run.size], data.spec
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": list(run.inputs),
        "image_size": run.recipe.input_size,
        "patch_size": run.patch_size,
        "dim": size.dim,
        "depth": size.depth,
        "num_heads": size.num_heads,
        **({"num_global_tokens": run.num_global_tokens} if run.num_global_tokens != 1 else {}),
        "num_semseg_classes": dataset.num_classes,
        # Pseudo labels, counted from 0, know no "unlabelled".
        "semseg_padding": "extra_class" if dataset.first_label else "none",
    }
    return kind_of(run).model(setup_of(run, data=data), backbone=backbone)


def _optim_wrapper(run: SuiteRun) -> Config:
    recipe = run.recipe
    wrapper: Config = {
        "type": {"fp32": "OptimWrapper", "bf16": "Bf16OptimWrapper", "fp16": "AmpOptimWrapper"}[recipe.precision],
        "optimizer": _optimizer(recipe),
        "constructor": "multimae.LayerDecay",
    }
    if paramwise := kind_of(run).paramwise(recipe):
        wrapper["paramwise_cfg"] = paramwise
    if recipe.clip_grad:
        wrapper["clip_grad"] = {"max_norm": recipe.clip_grad}
    return wrapper


def _optimizer(recipe: Recipe) -> Config:
    common = {"lr": learning_rate(recipe), "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "lars":
        return {"type": "Lars", **common, "momentum": recipe.beta1}
    return {"type": "AdamW", **common, "betas": (recipe.beta1, recipe.beta2), "eps": 1e-8, "fused": True}


def _schedule(recipe: Recipe, *, steps: int) -> Config:
    warmup = round(steps * recipe.warmup_epochs / recipe.epochs)
    ratio = recipe.min_lr / learning_rate(recipe)
    return {"type": "multimae.WarmupCosineLR", "num_steps": steps, "num_warmup_steps": warmup, "final_ratio": ratio}

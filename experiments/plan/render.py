"""Render a planned run to the mmengine config its job executes: a pure function to plain values."""

import math
import pprint
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.task import ClassificationRecipe, Kind, PretrainingRecipe, Recipe, TransferRecipe
from experiments.plan.planning import Data, PlannedRun, head_of, modules_of, predicted
from experiments.plan.render_data import Config, evaluations, micro_batch_size, train_dataloader, tuning, validation
from experiments.plan.suite import Run
from multimae.data.spec import DatasetSpec
from multimae.record.paths import CheckpointDir, RunDir
from multimae.tables.modalities import modality
from multimae.tables.sizes import SIZES, Size

PATCH_SIZE = 16
LOGS_PER_RUN = 100
TARGET_NAMES: Mapping[Kind, str] = MappingProxyType(
    {"semseg": "semseg", "depth": "depth", "classification": "label", "regression": "target"}
)
CHECKPOINTS_PER_RUN = 20


def render(planned: PlannedRun) -> Config:
    """Return the config of a run; everything a job needs is in it, so that it can be read and run again alone."""
    run, recipe, data = planned.run, planned.run.recipe, planned.data
    dataset = data.spec
    steps = num_steps(recipe, data=data)
    config: Config = {
        "custom_imports": {"imports": list(modules_of(run, data=data)), "allow_failed_imports": False},
        "default_scope": "mmengine",
        "model": _model(run, data=data, dataset=dataset),
        "train_dataloader": train_dataloader(run, data=data),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": steps},
        "optim_wrapper": _optim_wrapper(run),
        "param_scheduler": [_schedule(recipe, steps=steps)],
        "randomness": {"seed": run.seed},
        **({"compile": True} if recipe.compile == "default" else {}),
        "job": {
            "kind": run.task.kind,
            "target": run.task.predicts,
            "dataset": data.for_jobs,
            "fit": "neighbours" if tuning(run) == "knn" else "gradient descent",
            "init_from": _init_from(planned),
            "new_modalities": list(recipe.new_modalities) if isinstance(recipe, TransferRecipe) else [],
            "log_interval": max(1, steps // LOGS_PER_RUN),
            "checkpoint_interval": max(1, steps // CHECKPOINTS_PER_RUN),
            # A trial is judged at its rungs and at the end, the curve in between is not drawn.
            "validation_interval": steps if run.judged_on == "val" else math.ceil(steps / recipe.num_evaluations),
            **({"rungs": list(run.rungs)} if run.rungs else {}),
            "validation": validation(run, data=data, dataset=dataset),
            "selection": recipe.selection if isinstance(recipe, TransferRecipe) else "last",
            "evaluations": evaluations(run, data=data, dataset=dataset),
        },
    }
    return config


def as_python(config: Mapping[str, Any], *, title: str) -> str:
    """Write a config as the Python file mmengine reads, one assignment a top-level key."""
    assignments = (f"{name} = {pprint.pformat(value, width=110, sort_dicts=False)}" for name, value in config.items())
    return f'"""{title}"""\n\n' + "\n".join(assignments) + "\n"


def num_steps(recipe: Recipe, *, data: Data) -> int:
    """Return how many batches a training runs through; with accumulation, several make one optimizer step.

    An epoch leaves out its last, smaller step, as the reference's do. Nearest neighbours look at everything once.
    """
    kept = data.num_train if data.num_val else data.num_train - round(data.num_train * recipe.val_ratio)
    trained_on = max(1, round(kept * recipe.train_ratio))
    if recipe.num_train_images:
        trained_on = min(trained_on, recipe.num_train_images)
    if isinstance(recipe, TransferRecipe) and recipe.tuning == "knn":
        return math.ceil(trained_on / micro_batch_size(recipe))
    batches = recipe.batch_size // micro_batch_size(recipe)
    return recipe.epochs * max(1, trained_on // recipe.batch_size) * batches


def learning_rate(recipe: Recipe) -> float:
    """Return the absolute learning rate: `base_lr` is per 256 samples of a step (Goyal et al., 2017)."""
    return recipe.base_lr * recipe.batch_size / 256 if recipe.base_lr else recipe.lr


def _init_from(planned: PlannedRun) -> str | None:
    if planned.start:
        return planned.start
    if planned.depends_on:
        return str(CheckpointDir(RunDir(Path("..") / planned.depends_on[0]).checkpoints).last)
    return str(planned.run.weights.path) if planned.run.weights else None


def _model(run: Run, *, data: Data, dataset: DatasetSpec) -> Config:
    size = SIZES[run.size]
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": list(run.inputs),
        "image_size": run.recipe.input_size,
        "patch_size": PATCH_SIZE,
        "dim": size.dim,
        "depth": size.depth,
        "num_heads": size.num_heads,
        "num_semseg_classes": dataset.num_classes,
        # Pseudo labels, counted from 0, know no "unlabelled".
        "semseg_padding": "extra_class" if dataset.first_label else "none",
    }
    if isinstance(run.recipe, PretrainingRecipe):
        return _pretraining(run, backbone=backbone, size=size, recipe=run.recipe)
    assert isinstance(run.recipe, TransferRecipe)
    # The reference decodes the RGB tokens alone; depth reaches them through the encoder's attention.
    main = ["rgb"] if "rgb" in run.inputs else list(run.inputs[:1])
    return {
        "type": "multimae.MultiMAETransfer",
        "backbone": {**backbone, "drop_path_rate": run.recipe.drop_path_rate},
        "head": _head(run, size=size, data=data, dataset=dataset),
        "loss": run.task.loss,
        "main_modalities": main,
        **_tuned(run.recipe),
        **_mixing(run.recipe, data=data),
    }


def _pretraining(run: Run, *, backbone: Config, size: Size, recipe: PretrainingRecipe) -> Config:
    return {
        "type": "multimae.MultiMAEPretraining",
        "backbone": backbone,
        "outputs": _outputs(run, recipe=recipe),
        "decoder_dim": size.decoder_dim,
        "decoder_depth": size.decoder_depth,
        "decoder_heads": size.decoder_heads,
        "num_visible_tokens": recipe.num_visible_tokens,
        "alphas": recipe.alphas[0] if len(recipe.alphas) == 1 else list(recipe.alphas),
        "sampling": recipe.sampling,
        "loss_weighting": recipe.loss_weighting,
        "full_precision_outputs": [name for name in recipe.full_precision_outputs if name in predicted(run)],
    }


def _outputs(run: Run, *, recipe: PretrainingRecipe) -> list[str]:
    targets = {"both": ("rgb", "norm_rgb"), "pixels": ("rgb",), "normalised": ("norm_rgb",)}[recipe.rgb_targets]
    pixels = [name for name in predicted(run) if name != "rgb" or "rgb" in targets]
    return [*pixels, "norm_rgb"] if "rgb" in predicted(run) and "norm_rgb" in targets else pixels


def _tuned(recipe: TransferRecipe) -> Config:
    blocks = {"full": None, "partial": recipe.num_tuned_blocks}.get(recipe.tuning, 0)
    return {} if blocks is None else {"num_tuned_blocks": blocks}


def _mixing(recipe: TransferRecipe, *, data: Data) -> Config:
    if not isinstance(recipe, ClassificationRecipe):
        return {}
    chosen = {"mixup": recipe.mixup, "cutmix": recipe.cutmix, "label_smoothing": recipe.label_smoothing}
    return {"mixing": {"num_classes": data.num_labels, **chosen}} if any(chosen.values()) else {}


def _head(run: Run, *, size: Size, data: Data, dataset: DatasetSpec) -> Config:
    """Return the head's config: of a size, the fields that begin with the head's name are its own."""
    head, kind, recipe = head_of(run), run.task.kind, run.recipe
    outputs = _num_outputs(run, data=data, dataset=dataset)
    prefix = f"{head}_"
    own = {name.removeprefix(prefix): value for name, value in asdict(size).items() if name.startswith(prefix)}
    if head == run.task.head:
        own |= run.task.head_settings
    elif head == "probe":
        own["output"] = "vector" if kind == "classification" else "map"
    elif isinstance(recipe, TransferRecipe):
        own |= {"target": TARGET_NAMES[kind], "num_neighbours": recipe.num_neighbours}
    if isinstance(recipe, ClassificationRecipe):
        own["pool"] = recipe.pool
    return {"type": f"multimae.{head}", "num_outputs": outputs, **own}


def _num_outputs(run: Run, *, data: Data, dataset: DatasetSpec) -> int:
    if run.task.kind == "regression":
        return modality(run.task.target).num_channels
    return {"semseg": dataset.num_classes, "classification": data.num_labels}.get(run.task.kind, 1)


def _optim_wrapper(run: Run) -> Config:
    recipe = run.recipe
    wrapper: Config = {
        "type": {"fp32": "OptimWrapper", "bf16": "Bf16OptimWrapper", "fp16": "AmpOptimWrapper"}[recipe.precision],
        "optimizer": _optimizer(recipe),
        "accumulative_counts": recipe.batch_size // micro_batch_size(recipe),
        "constructor": "multimae.LayerDecay",
    }
    if isinstance(recipe, TransferRecipe):
        spared = () if recipe.decayed_embeddings == "parity" else ("class_emb.weight",)
        wrapper["paramwise_cfg"] = {"layer_decay": recipe.layer_decay, "spared": list(spared)}
    elif isinstance(recipe, PretrainingRecipe) and recipe.loss_weighting == "uncertainty":
        wrapper["paramwise_cfg"] = {"balancer_lr_scale": recipe.balancer_lr_scale}
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

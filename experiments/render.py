"""Render a planned run to the mmengine config its job executes: a pure function to plain values."""

import math
import pprint
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.task import PretrainingRecipe, Recipe, TransferRecipe
from experiments.plan import Data, PlannedRun, modules_of
from experiments.suite import Run
from multimae.data.spec import DatasetSpec, spec
from multimae.sizes import SIZES, Size

Config = dict[str, Any]
PATCH_SIZE = 16
LOGS_PER_RUN = 100
CHECKPOINTS_PER_RUN = 20


def render(planned: PlannedRun, *, data: Data) -> Config:
    """Return the config of a run; everything a job needs is in it, so that it can be read and run again alone."""
    run, recipe = planned.run, planned.run.recipe
    dataset = spec(data.name)
    steps = num_steps(recipe, num_train=data.num_train)
    config: Config = {
        "custom_imports": {"imports": list(modules_of(run, dataset=data.name)), "allow_failed_imports": False},
        "default_scope": "mmengine",
        "model": _model(run, dataset=dataset),
        "train_dataloader": _train_dataloader(run, data=data),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": steps},
        "optim_wrapper": _optim_wrapper(run),
        "param_scheduler": [_schedule(recipe, steps=steps, num_train=data.num_train)],
        "randomness": {"seed": run.seed},
        "job": {
            "kind": run.task.kind,
            "dataset": data.name,
            "init_from": f"../{planned.depends_on[0]}/checkpoints/last.pth" if planned.depends_on else None,
            "log_interval": max(1, steps // LOGS_PER_RUN),
            "checkpoint_interval": max(1, steps // CHECKPOINTS_PER_RUN),
            "validation_interval": math.ceil(steps / recipe.num_evaluations),
            "validation": _validation(run, data=data, dataset=dataset) if recipe.val_ratio > 0 else None,
            "evaluations": [_evaluation(run, protocol, data=data, dataset=dataset) for protocol in run.task.protocols],
        },
    }
    return config


def as_python(config: Mapping[str, Any], *, title: str) -> str:
    """Write a config as the Python file mmengine reads, one assignment a top-level key."""
    assignments = (f"{name} = {pprint.pformat(value, width=110, sort_dicts=False)}" for name, value in config.items())
    return f'"""{title}"""\n\n' + "\n".join(assignments) + "\n"


def num_steps(recipe: Recipe, *, num_train: int) -> int:
    """Return how many batches a training runs through; with accumulation, several make one optimizer step."""
    trained_on = num_train - round(num_train * recipe.val_ratio)
    return math.ceil(recipe.epochs * trained_on / _micro_batch_size(recipe))


def learning_rate(recipe: Recipe) -> float:
    """Return the absolute learning rate: `base_lr` is per 256 samples of a step (Goyal et al., 2017)."""
    return recipe.base_lr * recipe.batch_size / 256 if recipe.base_lr else recipe.lr


def _micro_batch_size(recipe: Recipe) -> int:
    return recipe.micro_batch_size or recipe.batch_size


def _model(run: Run, *, dataset: DatasetSpec) -> Config:
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
        "semseg_padding": "extra_class",
    }
    if isinstance(run.recipe, PretrainingRecipe):
        return {
            "type": "multimae.MultiMAEPretraining",
            "backbone": backbone,
            "outputs": [*run.inputs, "norm_rgb"] if "rgb" in run.inputs else list(run.inputs),
            "decoder_dim": size.decoder_dim,
            "decoder_depth": size.decoder_depth,
            "decoder_heads": size.decoder_heads,
            "num_visible_tokens": run.recipe.num_visible_tokens,
            "alphas": run.recipe.alphas,
        }
    assert isinstance(run.recipe, TransferRecipe)
    # The reference decodes the RGB tokens alone; depth reaches them through the encoder's attention.
    main = ["rgb"] if "rgb" in run.inputs else list(run.inputs[:1])
    return {
        "type": "multimae.MultiMAETransfer",
        "backbone": {**backbone, "drop_path_rate": run.recipe.drop_path_rate},
        "head": _head(run, size=size, dataset=dataset),
        "loss": run.task.loss,
        "main_modalities": main,
    }


def _head(run: Run, *, size: Size, dataset: DatasetSpec) -> Config:
    """Return the head's config: of a size, the fields that begin with the head's name are its own."""
    prefix = f"{run.task.head}_"
    own = {name.removeprefix(prefix): value for name, value in asdict(size).items() if name.startswith(prefix)}
    outputs = dataset.num_classes if run.task.kind == "semseg" else 1
    return {"type": f"multimae.{run.task.head}", "num_outputs": outputs, **own, **run.task.head_settings}


def _train_dataloader(run: Run, *, data: Data) -> Config:
    return {
        "dataset": _folder(run, data=data, split="train", pipeline=_augmentation(run)),
        "batch_size": _micro_batch_size(run.recipe),
        "num_workers": run.recipe.num_workers,
        "persistent_workers": run.recipe.num_workers > 0,
        "sampler": {"type": "mmengine.InfiniteSampler", "shuffle": True},
        "collate_fn": {"type": "mmengine.default_collate"},
    }


def _folder(run: Run, *, data: Data, split: str, pipeline: Config) -> Config:
    recipe = run.recipe
    target = {"pretraining": (), "semseg": ("semseg",), "depth": ("depth",)}[run.task.kind]
    return {
        "type": "multimae.MultiModalFolder",
        "root": str(data.root),
        "dataset": data.name,
        "split": split,
        "modalities": list(dict.fromkeys((*run.inputs, *target))),
        "pipeline": pipeline,
        "val_ratio": recipe.val_ratio,
        "cache": recipe.cache,
        "store_size": recipe.store_size or None,
    }


def _augmentation(run: Run) -> Config:
    recipe = run.recipe
    common: Config = {"inputs": list(run.inputs), "size": recipe.input_size}
    if isinstance(recipe, PretrainingRecipe):
        scale = (recipe.crop_scale_min, recipe.crop_scale_max)
        return {"type": "multimae.PretrainingAugmentation", **common, "scale": scale, "hflip_prob": recipe.hflip_prob}
    assert isinstance(recipe, TransferRecipe)
    photometric = {"hflip_prob": recipe.hflip_prob, "jitter_prob": recipe.color_jitter_prob}
    if run.task.kind == "depth":
        return {"type": "multimae.DepthAugmentation", **common, **photometric}
    scale = (recipe.scale_min, recipe.scale_max)
    return {"type": "multimae.SemsegAugmentation", **common, "scale": scale, **photometric}


def _evaluation(run: Run, protocol: str, *, data: Data, dataset: DatasetSpec) -> Config:
    common: Config = {"inputs": list(run.inputs), "size": run.recipe.input_size}
    pipelines: dict[str, Config] = {
        "pretraining": {"type": "multimae.PretrainingEvaluation", **common},
        "semseg": {"type": "multimae.SemsegEvaluation", **common, "protocol": protocol},
        "depth": {"type": "multimae.DepthEvaluation", **common, "protocol": protocol},
    }
    evaluators: dict[str, Config] = {
        "pretraining": {},
        "semseg": {"type": "multimae.SegmentationMetric", "num_classes": dataset.num_classes, "protocol": protocol},
        "depth": {
            "type": "multimae.DepthMetric",
            "depth_mean_mm": dataset.depth_mean_mm,
            "depth_std_mm": dataset.depth_std_mm,
            "max_depth_m": dataset.max_depth_m,
            "eval_crop": dataset.eval_crop,
            "protocol": protocol,
        },
    }
    # Targets at original resolution differ in size from image to image, so they are not batched.
    batch_size = 1 if protocol == "standard" else _micro_batch_size(run.recipe)
    folder = _folder(run, data=data, split="test", pipeline=pipelines[run.task.kind])
    # The standard protocol scores the labels as they were published, so nothing is resized on reading.
    folder |= {"cache": "none", "val_ratio": 0.0, "store_size": None}
    return {
        "protocol": protocol,
        "split": "test",
        "dataloader": {
            "dataset": folder,
            "batch_size": batch_size,
            "num_workers": run.recipe.num_workers,
            "sampler": {"type": "mmengine.DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "mmengine.default_collate"},
        },
        "evaluator": evaluators[run.task.kind],
    }


def _validation(run: Run, *, data: Data, dataset: DatasetSpec) -> Config:
    """Return the primary evaluation on the held-out part of the training split."""
    item = _evaluation(run, run.task.primary.protocol, data=data, dataset=dataset)
    item["split"] = item["dataloader"]["dataset"]["split"] = "val"
    item["dataloader"]["dataset"] |= {"val_ratio": run.recipe.val_ratio, "cache": run.recipe.cache}
    return item


def _optim_wrapper(run: Run) -> Config:
    recipe = run.recipe
    wrapper: Config = {
        "type": {"fp32": "OptimWrapper", "bf16": "Bf16OptimWrapper", "fp16": "AmpOptimWrapper"}[recipe.precision],
        "optimizer": {
            "type": "AdamW",
            "lr": learning_rate(recipe),
            "betas": (recipe.beta1, recipe.beta2),
            "eps": 1e-8,
            "weight_decay": recipe.weight_decay,
            "fused": True,
        },
        "accumulative_counts": recipe.batch_size // _micro_batch_size(recipe),
        "constructor": "multimae.LayerDecay",
    }
    if isinstance(recipe, TransferRecipe):
        wrapper["paramwise_cfg"] = {"layer_decay": recipe.layer_decay}
    if recipe.clip_grad:
        wrapper["clip_grad"] = {"max_norm": recipe.clip_grad}
    return wrapper


def _schedule(recipe: Recipe, *, steps: int, num_train: int) -> Config:
    warmup = round(steps * recipe.warmup_epochs / recipe.epochs)
    ratio = recipe.min_lr / learning_rate(recipe)
    return {"type": "multimae.WarmupCosineLR", "num_steps": steps, "num_warmup_steps": warmup, "final_ratio": ratio}

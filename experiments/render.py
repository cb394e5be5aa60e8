"""Render a planned run to the mmengine config its job executes: a pure function to plain values."""

import math
import pprint
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.task import ClassificationRecipe, Kind, PretrainingRecipe, Recipe, TransferRecipe
from experiments.plan import Data, PlannedRun, head_of, modalities_of, modules_of, predicted
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
        "model": _model(run, data=data, dataset=dataset),
        "train_dataloader": _train_dataloader(run, data=data),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": steps},
        "optim_wrapper": _optim_wrapper(run),
        "param_scheduler": [_schedule(recipe, steps=steps, num_train=data.num_train)],
        "randomness": {"seed": run.seed},
        **({"compile": True} if recipe.compile == "default" else {}),
        "job": {
            "kind": run.task.kind,
            "dataset": data.name,
            "fit": "neighbours" if _tuning(run) == "knn" else "gradient descent",
            "init_from": _init_from(planned),
            "new_modalities": list(recipe.new_modalities) if isinstance(recipe, TransferRecipe) else [],
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
    """Return how many batches a training runs through; with accumulation, several make one optimizer step.

    An epoch leaves out its last, smaller step, as the reference's do. Nearest neighbours look at everything once.
    """
    trained_on = max(1, round((num_train - round(num_train * recipe.val_ratio)) * recipe.train_ratio))
    if isinstance(recipe, TransferRecipe) and recipe.tuning == "knn":
        return math.ceil(trained_on / _micro_batch_size(recipe))
    batches = recipe.batch_size // _micro_batch_size(recipe)
    return recipe.epochs * max(1, trained_on // recipe.batch_size) * batches


def learning_rate(recipe: Recipe) -> float:
    """Return the absolute learning rate: `base_lr` is per 256 samples of a step (Goyal et al., 2017)."""
    return recipe.base_lr * recipe.batch_size / 256 if recipe.base_lr else recipe.lr


def _micro_batch_size(recipe: Recipe) -> int:
    return recipe.micro_batch_size or recipe.batch_size


def _tuning(run: Run) -> str:
    return run.recipe.tuning if isinstance(run.recipe, TransferRecipe) else "full"


def _init_from(planned: PlannedRun) -> str | None:
    if planned.depends_on:
        return f"../{planned.depends_on[0]}/checkpoints/last.pth"
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
    outputs = {"semseg": dataset.num_classes, "classification": data.num_labels}.get(kind, 1)
    prefix = f"{head}_"
    own = {name.removeprefix(prefix): value for name, value in asdict(size).items() if name.startswith(prefix)}
    if head == run.task.head:
        own |= run.task.head_settings
    elif head == "probe":
        own["output"] = "vector" if kind == "classification" else "map"
    elif isinstance(recipe, TransferRecipe):
        own |= {"target": "label" if kind == "classification" else kind, "num_neighbours": recipe.num_neighbours}
    if isinstance(recipe, ClassificationRecipe):
        own["pool"] = recipe.pool
    return {"type": f"multimae.{head}", "num_outputs": outputs, **own}


def _train_dataloader(run: Run, *, data: Data) -> Config:
    once = _tuning(run) == "knn"
    # Neighbours are compared as they are, unaugmented, with their labels at the size of the model's input.
    pipeline = _evaluation_pipeline(run, "paper") if once else _augmentation(run)
    sampler = {"type": "mmengine.DefaultSampler" if once else "mmengine.InfiniteSampler", "shuffle": not once}
    few = {"train_ratio": run.recipe.train_ratio, "subset_seed": run.recipe.subset_seed}
    return {
        "dataset": _folder(run, data=data, split="train", pipeline=pipeline) | (few if few["train_ratio"] < 1 else {}),
        "batch_size": _micro_batch_size(run.recipe),
        "num_workers": run.recipe.num_workers,
        "persistent_workers": run.recipe.num_workers > 0,
        "sampler": sampler,
        "collate_fn": {"type": "mmengine.default_collate"},
    }


def _folder(run: Run, *, data: Data, split: str, pipeline: Config) -> Config:
    recipe = run.recipe
    config: Config = {
        "type": "multimae.MultiModalFolder",
        "root": str(data.root),
        "dataset": data.name,
        "split": split,
        "modalities": list(modalities_of(run)),
        "pipeline": pipeline,
        "val_ratio": recipe.val_ratio,
        "cache": recipe.cache,
        "store_size": recipe.store_size or None,
    }
    if recipe.pseudo:
        config["folders"] = {name: f"pseudo_{name}" for name in recipe.pseudo}
    if run.task.kind == "classification":
        config["labelled"] = True
    if isinstance(recipe, PretrainingRecipe) and recipe.missing != "error":
        config["missing"] = recipe.missing
    return config


def _augmentation(run: Run) -> Config:
    recipe = run.recipe
    common: Config = {"inputs": list(run.inputs), "size": recipe.input_size}
    if isinstance(recipe, PretrainingRecipe):
        scale = (recipe.crop_scale_min, recipe.crop_scale_max)
        geometric = {"scale": scale, "hflip_prob": recipe.hflip_prob}
        return {"type": "multimae.PretrainingAugmentation", **common, **_targets(run), **geometric}
    assert isinstance(recipe, TransferRecipe)
    if isinstance(recipe, ClassificationRecipe):
        scale = (recipe.scale_min, recipe.scale_max)
        chosen = {"scale": scale, "hflip_prob": recipe.hflip_prob, "rand_augment": recipe.rand_augment}
        return {"type": "multimae.ClassificationAugmentation", **common, **chosen}
    photometric = {"hflip_prob": recipe.hflip_prob, "jitter_prob": recipe.color_jitter_prob}
    if run.task.kind == "depth":
        return {"type": "multimae.DepthAugmentation", **common, **photometric}
    scale = (recipe.scale_min, recipe.scale_max)
    return {"type": "multimae.SemsegAugmentation", **common, "scale": scale, **photometric}


def _targets(run: Run) -> Config:
    """Name the modalities that are predicted but not read."""
    targets = [name for name in predicted(run) if name not in run.inputs]
    return {"targets": targets} if targets else {}


def _evaluation_pipeline(run: Run, protocol: str) -> Config:
    common: Config = {"inputs": list(run.inputs), "size": run.recipe.input_size}
    pipelines: dict[Kind, Config] = {
        "pretraining": {"type": "multimae.PretrainingEvaluation", **common, **_targets(run)},
        "semseg": {"type": "multimae.SemsegEvaluation", **common, "protocol": protocol},
        "depth": {"type": "multimae.DepthEvaluation", **common, "protocol": protocol},
        "classification": {"type": "multimae.ClassificationEvaluation", **common},
    }
    return pipelines[run.task.kind]


def _evaluation(run: Run, protocol: str, *, data: Data, dataset: DatasetSpec) -> Config:
    evaluators: dict[Kind, Config] = {
        "pretraining": {},
        "classification": {"type": "multimae.ClassificationMetric"},
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
    original = protocol == "standard" and run.task.kind in ("semseg", "depth")
    batch_size = 1 if original else _micro_batch_size(run.recipe)
    folder = _folder(run, data=data, split="test", pipeline=_evaluation_pipeline(run, protocol))
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
        "optimizer": _optimizer(recipe),
        "accumulative_counts": recipe.batch_size // _micro_batch_size(recipe),
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


def _schedule(recipe: Recipe, *, steps: int, num_train: int) -> Config:
    warmup = round(steps * recipe.warmup_epochs / recipe.epochs)
    ratio = recipe.min_lr / learning_rate(recipe)
    return {"type": "multimae.WarmupCosineLR", "num_steps": steps, "num_warmup_steps": warmup, "final_ratio": ratio}

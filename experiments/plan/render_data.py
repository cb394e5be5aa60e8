"""Render the data's part of a run's config: loaders, augmentation, evaluations; pure, like `render.py`."""

from typing import Any

from benchmarks.task import ClassificationRecipe, Kind, PretrainingRecipe, Recipe, TransferRecipe
from experiments.plan.errors import UsageError
from experiments.plan.planning import Data, modalities_of, predicted
from experiments.plan.suite import Run
from multimae.data.spec import DatasetSpec

Config = dict[str, Any]


def train_dataloader(run: Run, *, data: Data) -> Config:
    """Return the loader of the training split; nearest neighbours see every sample once."""
    once = tuning(run) == "knn"
    # Neighbours are compared as they are, unaugmented, with their labels at the size of the model's input.
    pipeline = _evaluation_pipeline(run, "paper") if once else _augmentation(run)
    sampler = {"type": "mmengine.DefaultSampler" if once else "mmengine.InfiniteSampler", "shuffle": not once}
    return {
        "dataset": _folder(run, data=data, split="train", pipeline=pipeline) | _part_of_train(run.recipe),
        "batch_size": micro_batch_size(run.recipe),
        "num_workers": run.recipe.num_workers,
        "persistent_workers": run.recipe.num_workers > 0,
        "sampler": sampler,
        "collate_fn": {"type": "mmengine.default_collate"},
    }


def _part_of_train(recipe: Recipe) -> Config:
    part: Config = {}
    if recipe.train_ratio < 1:
        part |= {"train_ratio": recipe.train_ratio, "subset_seed": recipe.subset_seed}
    if recipe.num_train_images:
        part["limit"] = recipe.num_train_images
    return part


def _folder(run: Run, *, data: Data, split: str, pipeline: Config) -> Config:
    recipe = run.recipe
    config: Config = {
        "type": "multimae.MultiModalFolder",
        "root": str(data.root),
        "dataset": data.for_jobs,
        "split": split,
        "modalities": list(modalities_of(run)),
        "pipeline": pipeline,
        "val_ratio": 0.0 if data.num_val else recipe.val_ratio,
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
    if run.task.kind == "regression":
        return {
            "type": "multimae.RegressionAugmentation",
            **common,
            "target": run.task.target,
            "hflip_prob": recipe.hflip_prob,
        }
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
        "semseg": {"type": "multimae.SemsegEvaluation", **common, "protocol": protocol, **_side(run, protocol)},
        "depth": {"type": "multimae.DepthEvaluation", **common, "protocol": protocol},
        "classification": {"type": "multimae.ClassificationEvaluation", **common},
        "regression": {
            "type": "multimae.RegressionEvaluation",
            **common,
            "target": run.task.target,
            "protocol": protocol,
        },
    }
    return pipelines[run.task.kind]


def evaluations(run: Run, *, data: Data, dataset: DatasetSpec) -> list[Config]:
    """Return what scores a finished run: the test split under every protocol, or held-out images for a trial."""
    if run.judged_on == "test":
        return [evaluation(run, protocol, data=data, dataset=dataset) for protocol in run.task.protocols]
    held_out = validation(run, data=data, dataset=dataset)
    if held_out is None:
        raise UsageError(
            f"a search over {run.task.name} needs images to judge trials on, but {data.name} has no val split and "
            "val_ratio is 0; --set recipe.val_ratio=0.1 holds a tenth of the training split out"
        )
    return [held_out]


def evaluation(run: Run, protocol: str, *, data: Data, dataset: DatasetSpec) -> Config:
    """Return what scores a run on the test split under a protocol."""
    # Targets at original resolution differ in size from image to image, so they are not batched.
    original = protocol == "standard" and run.task.kind in ("semseg", "depth", "regression")
    folder = _folder(run, data=data, split="test", pipeline=_evaluation_pipeline(run, protocol))
    # The standard protocol scores the labels as they were published, so nothing is resized on reading.
    folder |= {"cache": "none", "val_ratio": 0.0, "store_size": None}
    return {
        "protocol": protocol,
        "split": "test",
        "dataloader": {
            "dataset": folder,
            "batch_size": 1 if original else micro_batch_size(run.recipe),
            "num_workers": run.recipe.num_workers,
            "sampler": {"type": "mmengine.DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "mmengine.default_collate"},
        },
        "evaluator": _evaluator(run.task.kind, protocol, dataset=dataset),
        **_inference(run, protocol),
    }


def validation(run: Run, *, data: Data, dataset: DatasetSpec) -> Config | None:
    """Return the primary evaluation on the data set's own validation split or what is held out of training, if any.

    Selection on the test split, the reference's way, validates there.
    """
    recipe = run.recipe
    if isinstance(recipe, TransferRecipe) and recipe.selection == "test":
        protocol = "paper" if "paper" in run.task.protocols else run.task.primary.protocol
        return evaluation(run, protocol, data=data, dataset=dataset)
    if not data.num_val and recipe.val_ratio == 0:
        if isinstance(recipe, TransferRecipe) and recipe.selection == "validation":
            raise UsageError(
                f"{run.task.name}: selection=validation, but {data.name} has no val split and val_ratio is 0; "
                "--set recipe.val_ratio=0.1 holds a tenth of the training split out"
            )
        return None
    item = evaluation(run, run.task.primary.protocol, data=data, dataset=dataset)
    item["split"] = item["dataloader"]["dataset"]["split"] = "val"
    held_out = {} if data.num_val else {"val_ratio": recipe.val_ratio}
    few = {"limit": recipe.num_val_images} if recipe.num_val_images else {}
    item["dataloader"]["dataset"] |= {"cache": recipe.cache, **held_out, **few}
    return item


def _evaluator(kind: Kind, protocol: str, *, dataset: DatasetSpec) -> Config:
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
        "regression": {"type": "multimae.RegressionMetric", "protocol": protocol},
    }
    return evaluators[kind]


def _side(run: Run, protocol: str) -> Config:
    """Windows slide over an image whose shorter side is one window long."""
    slides = isinstance(run.recipe, TransferRecipe) and run.recipe.inference == "slide"
    return {"side": "shorter"} if slides and protocol == "standard" else {}


def _inference(run: Run, protocol: str) -> Config:
    """Return what the recipe wants otherwise than all images, each seen once and whole."""
    recipe = run.recipe
    if not isinstance(recipe, TransferRecipe):
        return {}
    if protocol == "paper":
        return {"num_images": recipe.paper_num_images} if recipe.paper_num_images else {}
    chosen = {"inference": recipe.inference, "flip": recipe.flip}
    return {} if chosen == {"inference": "whole", "flip": "none"} else chosen


def micro_batch_size(recipe: Recipe) -> int:
    """Return how many samples the devices of a run hold at a time."""
    return recipe.micro_batch_size or recipe.batch_size


def tuning(run: Run) -> str:
    """Say what a transfer trains; a pre-training trains everything."""
    return run.recipe.tuning if isinstance(run.recipe, TransferRecipe) else "full"

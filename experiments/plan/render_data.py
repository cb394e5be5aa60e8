"""Render the data's part of a run's config: loaders, augmentation, evaluations; pure, like `render.py`."""

from benchmarks.kind import Config
from benchmarks.recipes import Recipe
from experiments.plan.errors import UsageError
from experiments.plan.planning import Data, common_of, kind_of, modalities_of, setup_of
from experiments.plan.suite import SuiteRun


def train_dataloader(run: SuiteRun, *, data: Data) -> Config:
    """Return the loader of the training split; nearest neighbours see every sample once."""
    once = kind_of(run).fit(run.recipe) == "neighbours"
    # Neighbours are compared as they are, unaugmented, with their labels at the size of the model's input.
    pipeline = _evaluation_pipeline(run, "paper", data=data) if once else _augmentation(run, data=data)
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


def _folder(run: SuiteRun, *, data: Data, split: str, pipeline: Config) -> Config:
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
    return config | kind_of(run).folder(recipe)


def _augmentation(run: SuiteRun, *, data: Data) -> Config:
    return kind_of(run).augmentation(setup_of(run, data=data), common=common_of(run))


def _evaluation_pipeline(run: SuiteRun, protocol: str, *, data: Data) -> Config:
    return kind_of(run).evaluation(setup_of(run, data=data), common=common_of(run), protocol=protocol)


def evaluations(run: SuiteRun, *, data: Data) -> list[Config]:
    """Return what scores a finished run: the test split under every protocol, or held-out images for a trial."""
    if run.judged_on == "test":
        return [evaluation(run, protocol, data=data) for protocol in run.task.protocols]
    held_out = validation(run, data=data)
    if held_out is None:
        raise UsageError(
            f"a search over {run.task.name} needs images to judge trials on, but {data.name} has no val split and "
            "val_ratio is 0; --set recipe.val_ratio=0.1 holds a tenth of the training split out"
        )
    return [held_out]


def evaluation(run: SuiteRun, protocol: str, *, data: Data) -> Config:
    """Return what scores a run on the test split under a protocol."""
    batch_size = micro_batch_size(run.recipe) if kind_of(run).is_batched(protocol) else 1
    folder = _folder(run, data=data, split="test", pipeline=_evaluation_pipeline(run, protocol, data=data))
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
        "evaluator": kind_of(run).evaluator(data.spec, protocol=protocol),
        **kind_of(run).ways(run.recipe, protocol=protocol),
    }


def validation(run: SuiteRun, *, data: Data) -> Config | None:
    """Return the primary evaluation on the data set's own validation split or what is held out of training, if any.

    Selection on the test split, the reference's way, validates there.
    """
    recipe, selection = run.recipe, kind_of(run).selection(run.recipe)
    if selection == "test":
        protocol = "paper" if "paper" in run.task.protocols else run.task.primary.protocol
        return evaluation(run, protocol, data=data)
    if not data.num_val and recipe.val_ratio == 0:
        if selection == "validation":
            raise UsageError(
                f"{run.task.name}: selection=validation, but {data.name} has no val split and val_ratio is 0; "
                "--set recipe.val_ratio=0.1 holds a tenth of the training split out"
            )
        return None
    item = evaluation(run, run.task.primary.protocol, data=data)
    item["split"] = item["dataloader"]["dataset"]["split"] = "val"
    held_out = {} if data.num_val else {"val_ratio": recipe.val_ratio}
    few = {"limit": recipe.num_val_images} if recipe.num_val_images else {}
    item["dataloader"]["dataset"] |= {"cache": recipe.cache, **held_out, **few}
    return item


def micro_batch_size(recipe: Recipe) -> int:
    """Return how many samples the devices of a run hold at a time; whole micro-batches make an optimizer step."""
    return recipe.micro_batch_size or recipe.batch_size

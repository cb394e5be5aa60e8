"""A pre-training's checkpoint as a model, and a user's own image as one of its examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from multimae.data.decode import Array, decode
from multimae.data.maps import Sample
from multimae.data.pipelines.pipeline import Example
from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec, spec
from multimae.engine.resume import load_checkpoint
from multimae.pictures.exploration import complete_examples
from multimae.pretraining import MultiMAEPretraining
from multimae.record.paths import RunDir
from multimae.registry import MODELS, TRANSFORMS

MAX_ASPECT_DIFFERENCE = 0.02


@dataclass(frozen=True, kw_only=True)
class LoadedPretraining:
    """A trained model with the evaluation it was scored by and the facts of its data set."""

    model: MultiMAEPretraining
    evaluation: Any
    facts: DatasetSpec


def load_pretraining(run_dir: Path) -> LoadedPretraining:
    """Build the model of a run and load its last weights, on the CPU."""
    config = Config.fromfile(RunDir(run_dir).config)
    model = MODELS.build(config.model)
    checkpoint = load_checkpoint(RunDir(run_dir).checkpoints)
    if checkpoint is None:
        raise DataError(f"{RunDir(run_dir).checkpoints} holds no checkpoint that can be read; train it again")
    try:
        model.load_state_dict(checkpoint["model"])
    except RuntimeError as error:
        raise DataError(f"{run_dir} was trained by a version of the library with another model: {error}") from error
    return LoadedPretraining(model=model.eval(), evaluation=config.job.evaluations[0], facts=spec(config.job.dataset))


def test_example(loaded: LoadedPretraining) -> Example:
    """Return a sample of the evaluation that lacks nothing."""
    examples = complete_examples(loaded.evaluation, limit=16)
    if not examples:
        raise DataError(f"no test sample of {loaded.facts.title} has every modality; name an image of your own")
    return examples[0]


def example_of(files: Mapping[str, Path], *, loaded: LoadedPretraining, name: str) -> Example:
    """Read one file per modality and pass them through the evaluation's pipeline: its centre at the model's size."""
    pipeline = dict(loaded.evaluation.dataloader.dataset.pipeline)
    inputs = [modality for modality in pipeline["inputs"] if modality in files]
    if not inputs:
        raise DataError(f"this pre-training reads {pipeline['inputs']}, got {list(files)}; give a file of one it reads")
    arrays = {modality: decode(path, modality=modality, spec=loaded.facts) for modality, path in files.items()}
    _check_aspects(files, arrays)
    maps = {modality: _planes(array) for modality, array in arrays.items()}
    targets = [modality for modality in pipeline.get("targets", ()) if modality in files]
    make_example = TRANSFORMS.build({**pipeline, "inputs": inputs, "targets": targets})
    example: Example = make_example(Sample(name=name, spec=loaded.facts, maps=maps))
    return example


def _planes(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array[None] if array.ndim == 2 else array.transpose(2, 0, 1), order="C"))


def _check_aspects(files: Mapping[str, Path], arrays: Mapping[str, Array]) -> None:
    """Raise unless all maps show the same rectangle, at whatever resolution each."""
    aspects = [array.shape[1] / array.shape[0] for array in arrays.values()]
    if max(aspects) / min(aspects) > 1 + MAX_ASPECT_DIFFERENCE:
        sizes = ", ".join(f"{files[name]} is {array.shape[1]}x{array.shape[0]}" for name, array in arrays.items())
        raise DataError(f"the files differ in shape: {sizes}; give maps of the same view, all turned the same way")

"""The run directory of a finished pre-training, as a job leaves it, without the training: its weights are random."""

import json
from pathlib import Path
from typing import Any

import torch

from multimae.engine.resume import save_checkpoint
from multimae.pictures.exploration import save_exploration
from multimae.pretraining import MultiMAEPretraining
from multimae.registry import MODELS

INPUTS = ["rgb", "depth", "semseg"]
SIZE = 64
GRID = SIZE // 16
KEY = "nyuv2-pretrain-scratch-rgb+depth+semseg-s0-0a1b2c3d"


def model_config(*, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": inputs,
        "image_size": SIZE,
        "dim": 32,
        "depth": 2,
        "num_heads": 4,
        "num_semseg_classes": 40,
        "semseg_padding": "extra_class",
        "dim_class_emb": 6,
    }
    sizes = {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2, "num_visible_tokens": 8}
    return {"type": "multimae.MultiMAEPretraining", "backbone": backbone, "outputs": outputs, **sizes}


def job_config(data_root: Path, *, inputs: list[str], **dataset: Any) -> dict[str, Any]:
    folder = {
        "type": "multimae.MultiModalFolder",
        "root": str(data_root),
        "dataset": "nyuv2",
        "split": "test",
        "modalities": inputs,
        "pipeline": {"type": "multimae.PretrainingEvaluation", "inputs": inputs, "size": SIZE},
        **dataset,
    }
    evaluation = {"split": "test", "protocol": "masked", "dataloader": {"dataset": folder, "batch_size": 2}}
    return {"kind": "pretraining", "dataset": "nyuv2", "evaluations": [evaluation]}


def write_pretraining(
    run_dir: Path,
    *,
    data_root: Path,
    inputs: list[str] = INPUTS,
    outputs: list[str] = INPUTS,
    explored: bool = True,
    **result: Any,
) -> Path:
    """Write config, checkpoint, pictures and result of a pre-training whose weights are those of seed 0."""
    torch.manual_seed(0)
    config = {"model": model_config(inputs=inputs, outputs=outputs), "job": job_config(data_root, inputs=inputs)}
    run_dir.mkdir(parents=True)
    (run_dir / "config.py").write_text("".join(f"{name} = {value!r}\n" for name, value in config.items()))
    model = MODELS.build(config["model"])
    assert isinstance(model, MultiMAEPretraining)
    save_checkpoint(run_dir / "checkpoints", {"model": model.state_dict(), "step": 1})
    if explored:
        save_exploration(model, _attributes(config["job"]), folder=run_dir / "artifacts" / "reconstruction")
    about = {
        "key": run_dir.name,
        "task": "nyuv2-pretrain",
        "suite": "nyuv2",
        "dataset": "nyuv2",
        "size": "tiny",
        "finished": 1.0,
    }
    (run_dir / "result.json").write_text(json.dumps({**about, **result}))
    return run_dir


def _attributes(config: dict[str, Any]) -> Any:
    from mmengine.config import ConfigDict

    return ConfigDict(config)

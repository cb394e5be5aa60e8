"""Evaluations of tiny models on a few images, and a process that carries out its share of them."""

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import distributed

from multimae.data.sets.nyuv2 import SPEC
from multimae.evaluation.evaluate import Evaluations
from multimae.kinds import kind as kind_of_task
from multimae.record.evaluation import Evaluation
from multimae.transfer import MultiMAETransfer

SIZE = 64
PIPELINES = {"semseg": "SemsegEvaluation", "depth": "DepthEvaluation"}
DEPTH = {
    "depth_mean_mm": SPEC.depth_mean_mm,
    "depth_std_mm": SPEC.depth_std_mm,
    "max_depth_m": SPEC.max_depth_m,
    "eval_crop": SPEC.eval_crop,
}
EVALUATORS: dict[str, dict[str, Any]] = {
    "semseg": {"type": "multimae.SegmentationMetric", "num_classes": 40},
    "depth": {"type": "multimae.DepthMetric", **DEPTH},
}
CASES = [(kind, protocol) for kind in PIPELINES for protocol in ("paper", "standard")]


def item_of(root: Path, *, kind: str, protocol: str, batch_size: int = 1, num_workers: int = 0, **ways: Any) -> Any:
    """Return an evaluation as configs describe them."""
    pipeline = {"type": f"multimae.{PIPELINES[kind]}", "inputs": ["rgb"], "size": SIZE, "protocol": protocol}
    folder = {
        "type": "multimae.MultiModalFolder",
        "root": str(root),
        "dataset": "nyuv2",
        "split": "test",
        "modalities": ["rgb", kind],
        "pipeline": pipeline,
    }
    loader = {
        "dataset": folder,
        "batch_size": batch_size,
        "num_workers": num_workers,
        "sampler": {"type": "mmengine.DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "mmengine.default_collate"},
    }
    evaluator = {**EVALUATORS[kind], "protocol": protocol}
    return ConfigDict(split="test", protocol=protocol, dataloader=loader, evaluator=evaluator, **ways)


def model_of(kind: str) -> MultiMAETransfer:
    """Return a model whose weights are always the same."""
    torch.manual_seed(0)
    backbone = {"type": "multimae.MultiMAE", "modalities": ["rgb"], "image_size": SIZE}
    head = {"type": "multimae.ConvNeXtHead", "token_dim": 32, "depth": 1, "num_outputs": 40 if kind == "semseg" else 1}
    loss = "cross_entropy" if kind == "semseg" else "l1"
    return MultiMAETransfer(backbone={**backbone, "dim": 16, "depth": 1, "num_heads": 2}, head=head, loss=loss)


def evaluate(root: Path, *, kind: str, protocol: str, **item: Any) -> Evaluation:
    """Carry out one evaluation; every process of a group gets all of it."""
    torch.set_num_threads(1)
    described = item_of(root, kind=kind, protocol=protocol, **item)
    return Evaluations(kind_of_task(kind).scorer(kind), check=lambda: None).run(model_of(kind), described)


def score_as_rank(rank: int, root: Path, out: Path) -> None:
    """Evaluate everything as one of two processes and write what it was told."""
    store = f"file://{out / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for kind, protocol in CASES:
        evaluation = evaluate(root, kind=kind, protocol=protocol)
        found[f"{kind}/{protocol}"] = [dict(evaluation.metrics), dict(evaluation.baseline), evaluation.num_samples]
    padded = item_of(root, kind="semseg", protocol="paper")
    padded.dataloader.sampler.round_up = True
    try:
        Evaluations(kind_of_task("semseg").scorer("semseg"), check=lambda: None).run(model_of("semseg"), padded)
    except ValueError as error:
        found["padded"] = str(error)
    (out / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()

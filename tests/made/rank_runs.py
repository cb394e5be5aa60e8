"""Runs of a few seconds, trained by one process or by several: real ones, gloo, the CPU."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.recipes import Recipe
from experiments.plan.planning import Data, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import expand
from tests.made.brief_suite import SUITE as BRIEF
from tests.made.tinydata import write_frames


def prepared(
    tmp_path: Path,
    *,
    name: str = "run",
    task: str = "nyuv2-semseg",
    modalities: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    **changes: Any,
) -> Path:
    """Prepare the run of a transfer of eight steps of four samples, or of a pre-training.

    `modalities`: other `inputs` and `outputs` than the suite's.
    """
    place = tmp_path / "data"
    root = place / "nyuv2" if place.exists() else write_frames(place, num_train=8, num_test=3) / "nyuv2"
    data = Data(name="nyuv2", root=root, fingerprint="0", num_train=8, num_test=3)
    visible = {"num_visible_tokens": 12} if task.endswith("pretrain") else {}
    short = {"input_size": 64, "batch_size": 4, "epochs": 4, "val_ratio": 0.0, **visible, **changes}
    recipes: dict[str, Recipe] = {one.name: one.recipes["cpu"] for one in BRIEF.tasks}
    recipes[task] = replace(recipes[task], **short)
    runs = expand(BRIEF, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("pretrain", "scratch"))
    (run,) = (one for one in runs if one.task.name == task and one.checkpoint == "scratch")
    run = replace(run, **modalities)  # type: ignore[arg-type]
    return prepare(make_plan([run], data={"nyuv2": data})[0], suite_dir=tmp_path / name, keep="all")


def start(run_dir: Path, *, devices: int, attempt: int = 1, **popen: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "multimae.train", str(run_dir), "--attempt", str(attempt)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*command, "--devices", str(devices)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
        **popen,
    )


def train(run_dir: Path, *, devices: int, attempt: int = 1) -> "subprocess.CompletedProcess[str]":
    with start(run_dir, devices=devices, attempt=attempt) as process:
        said, _ = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout=said)


def ending(run_dir: Path, *, attempt: int = 1) -> dict[str, Any]:
    exit_file: dict[str, Any] = json.loads((run_dir / "attempts" / str(attempt) / "exit.json").read_text())
    return exit_file


def checkpoint(run_dir: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run_dir / "checkpoints" / "last.pth", weights_only=True)
    return state

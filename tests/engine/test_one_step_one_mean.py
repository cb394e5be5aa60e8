"""A step's loss is one mean over all that counts in it, however its samples are divided among devices."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from multimae.engine.job import execute
from multimae.engine.optim import warmup_cosine
from multimae.engine.signals import StopRequest
from multimae.record.attempt import Attempt
from tests.made.rank_runs import checkpoint, prepared
from tests.made.tinydata import write_frames

pytestmark = pytest.mark.filterwarnings("default")  # mmengine and torch warn here

COUNTED = (1.0, 0.0, 0.3, 0.02, 0.6, 0.01, 0.9, 0.1)
"""Which share of each training frame's rows has labels and valid depth."""

# Nothing random but the order of the samples. LARS takes steps in proportion to gradients; AdamW turns the rounding
# errors of gradients that are 0, such as those of the keys' biases, into whole steps.
PLAIN: Mapping[str, Any] = {"hflip_prob": 0.0, "epochs": 2, "optimizer": "lars", "lr": 0.5, "warmup_epochs": 0.5}
TRANSFER: Mapping[str, Any] = {
    **PLAIN, "drop_path_rate": 0.0, "scale_min": 1.0, "scale_max": 1.0, "color_jitter_prob": 0.0,
}  # fmt: skip
# All of RGB is shown, and what is no input is predicted everywhere: masks that are drawn change nothing.
OPEN: Mapping[str, Any] = {"modalities": {"inputs": ("rgb",), "outputs": ("depth", "semseg")}, "num_visible_tokens": 16}
RUNS: Mapping[str, Mapping[str, Any]] = {
    "semseg": {"task": "nyuv2-semseg", **TRANSFER},
    "depth": {"task": "nyuv2-depth", **TRANSFER},
    "pretraining": {"task": "nyuv2-pretrain", **PLAIN, **OPEN, "crop_scale_min": 1.0, "loss_weighting": "uncertainty"},
}
RANK = """
import os, sys
from pathlib import Path
from multimae.engine.ranks import leave
from multimae.record.attempt import Attempt
from multimae.engine.signals import StopRequest
from multimae.train import run_attempt
rank = int(os.environ["RANK"])
stop = StopRequest()
leave(max(run_attempt(Attempt(run_dir=Path(one), number=1), stop=stop, rank=rank) for one in sys.argv[1:]))
"""
STATISTICS = """
import torch
from multimae.engine.distributed import join_ranks, share_statistics
join_ranks()
model = torch.nn.BatchNorm1d(1)
model.running_mean.fill_(torch.distributed.get_rank())
share_statistics(model)
print(float(model.running_mean), flush=True)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write frames as large as the models' input, so that every crop is the whole, labelled as `COUNTED` says."""
    folder = tmp_path_factory.mktemp("uneven")
    train = write_frames(folder / "data", num_train=8, num_test=3) / "nyuv2" / "train"
    for path in sorted(train.rglob("*.png")):
        pixels = np.asarray(Image.open(path).resize((64, 64), Image.Resampling.NEAREST)).copy()
        if path.parts[-3] in ("semseg", "mask_valid"):
            pixels[round(COUNTED[int(path.stem)] * 64) :] = 0
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(place: Path, name: str, *, ranks: int = 1, **changes: Any) -> Path:
    folder = "-".join(map(str, (name, ranks, *changes.values())))
    run_dir = prepared(place, name=folder, **{**RUNS[name], **changes})
    config = run_dir / "config.py"
    config.write_text(config.read_text().replace("DepthAugmentation',", "DepthAugmentation', 'grey_prob': 0.0,"))
    return run_dir


def on_one_device(run_dir: Path) -> Path:
    attempt = Attempt(run_dir=run_dir, number=1)
    attempt.start()
    execute(attempt, stop=StopRequest())
    return run_dir


def on_two_devices(script: str, *arguments: str) -> list[str]:
    """Execute Python by two processes that find each other; return what each said."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank, "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for rank in ("0", "1")
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    return said


def distance(one: Path, other: Path) -> float:
    """Return the largest difference of two trainings' weights."""
    left, right = (checkpoint(run_dir)["model"] for run_dir in (one, other))
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in left)


def curve(run_dir: Path, name: str) -> list[float]:
    """Return what a training logged of a metric, step by step."""
    lines = (run_dir / "spool" / "1.jsonl").read_text().splitlines()
    logged = [event["values"] for event in map(json.loads, lines) if event["kind"] == "metrics"]
    return [values[name] for values in logged if name in values]


def scores(run_dir: Path) -> dict[str, float]:
    """Return the metrics of a run and its constants' that do not depend on batches (the `paper` protocol's do)."""
    result = json.loads((run_dir / "result.json").read_text())
    return {
        f"{part} {row['metric']}": row["value"]
        for part in ("rows", "baselines")
        for row in result[part]
        if row["protocol"] != "paper"
    }


def test_devices_and_micro_batches_agree_with_one_batch(place: Path) -> None:
    whole = {name: on_one_device(made(place, name)) for name in RUNS}
    parts = {(name, size): on_one_device(made(place, name, micro_batch_size=size)) for name in RUNS for size in (2, 1)}
    ranks = {(name, size): made(place, name, ranks=2, micro_batch_size=size) for name in RUNS for size in (4, 2)}
    on_two_devices(RANK, *map(str, ranks.values()))  # all of them by the same processes
    runs = {**{(*key, 1): run for key, run in parts.items()}, **{(*key, 2): run for key, run in ranks.items()}}
    distances = {(name, *rest): distance(whole[name], run) for (name, *rest), run in runs.items()}
    assert max(distances.values()) < 1e-5, distances
    for (name, *_), run in runs.items():
        assert curve(run, "train/loss") == pytest.approx(curve(whole[name], "train/loss"), rel=1e-5), run.name
        # The schedule is that of optimizer steps: 4 of them, the first of which warms up.
        rates = [0.5 * warmup_cosine(step, num_steps=4, num_warmup_steps=1, final_ratio=0.0) for step in range(4)]
        assert curve(run, "train/lr") == pytest.approx(rates), run.name
        assert scores(run) == pytest.approx(scores(whole[name]), rel=1e-3), run.name


def test_devices_go_on_with_one_set_of_statistics() -> None:
    assert [said.split()[-1] for said in on_two_devices(STATISTICS)] == ["0.5", "0.5"]

"""Run directories invented for tests of the reports, written as jobs and the driver leave them."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PRETRAINING = "nyuv2-pretrain-scratch-rgb+depth+semseg-s0-0a1b2c3d"
DOMAINS = (
    "principal_curvature", "depth_zbuffer", "edge_texture", "edge_occlusion", "keypoints2d", "keypoints3d", "normal",
    "reshading",
)  # fmt: skip
LEVELS = {
    "miou": 18.0, "macc": 29.0, "aacc": 52.0, "delta1": 47.0, "delta2": 78.0, "delta3": 92.0, "rel": 0.31, "rmse": 0.92,
    "log10": 0.12, "l1": 0.0214, "top1": 61.0, "top5": 78.0,
}  # fmt: skip
GAIN = {"rgb": 0.17, "depth": 0.02, "rgb+depth": 0.21}
MEASURED = {
    "semseg": ("miou", "macc", "aacc"),
    "depth": ("delta1", "delta2", "delta3", "rel", "rmse", "log10"),
    **dict.fromkeys(("cls", "linear", "knn"), ("top1", "top5")),
    **dict.fromkeys(DOMAINS, ("l1",)),
    "pretrain": ("loss_depth", "loss_rgb", "loss_semseg"),
}
TRANSFERS = (
    *(("imagenet", f"imagenet-{task}", ("rgb",)) for task in ("cls", "linear", "knn")),
    ("ade20k", "ade20k-semseg", ("rgb",)),
    ("hypersim", "hypersim-semseg", ("rgb", "depth", "rgb+depth")),
    ("nyuv2", "nyuv2-semseg", ("rgb", "depth", "rgb+depth")),
    ("nyuv2", "nyuv2-depth", ("rgb",)),
    *(("taskonomy", f"taskonomy-{domain}", ("rgb",)) for domain in DOMAINS),
)
"""Data set, task and inputs of the suite that spans all data sets."""
NUM_IMAGES = {
    "imagenet": (1_281_167, 50_000), "ade20k": (20_210, 2_000), "hypersim": (59_543, 7_690), "nyuv2": (795, 654),
    "taskonomy": (800, 54_514), "rooms": (240, 80),
}  # fmt: skip


@dataclass
class FakeSuite:
    """Writes run directories as jobs and the driver leave them; `values` remembers what was written.

    `settings` are added to every run.json, `scoring` to every row of a result; `num_scored` is its number of images,
    0 for all.
    """

    runs_dir: Path
    suite: str = "nyuv2"
    size: str = "tiny"
    profile: str = "cpu"
    settings: dict[str, Any] = field(default_factory=dict)
    scoring: dict[str, Any] = field(default_factory=dict)
    num_scored: int = 0
    datasets: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def add(
        self, *, task: str, checkpoint: str, inputs: str, seed: int, state: str = "finished", dataset: str = "rooms"
    ) -> Path:
        key = PRETRAINING if task == "nyuv2-pretrain" else f"{task}-{checkpoint}-{inputs}-s{seed}-{len(self.keys):08x}"
        self.keys.append(key)
        self.datasets.append(dataset)
        run_dir = self.runs_dir / self.suite / key
        described = self.described(key, task=task, checkpoint=checkpoint, inputs=inputs) | {"seed": seed}
        self.write(run_dir / "run.json", described | {"dataset": {"name": dataset}})
        if state != "new":
            self.attempt(run_dir, state=state)
            self.spool(run_dir, task=task, better=checkpoint != "scratch", seed=seed, done=state == "finished")
        if state == "finished":
            self.result(run_dir, described | {"dataset": dataset})
        return run_dir

    def add_transfers(self, *, checkpoints: Sequence[str], seeds: int, dataset: str = "") -> None:
        """Add every transfer of the suite that spans all data sets, each on its own one or all on `dataset`."""
        for own, task, all_inputs in TRANSFERS:
            for inputs, checkpoint, seed in product(all_inputs, checkpoints, range(seeds)):
                self.add(task=task, checkpoint=checkpoint, inputs=inputs, seed=seed, dataset=dataset or own)

    def described(self, key: str, *, task: str, checkpoint: str, inputs: str) -> dict[str, Any]:
        pretraining = task == "nyuv2-pretrain"
        return {
            "schema": 1, "key": key, "suite": self.suite, "task": task, "checkpoint": checkpoint,
            "inputs": inputs.split("+"), "size": self.size, "profile": self.profile,
            "depends_on": [PRETRAINING] if checkpoint == "pretrain" else [],
            "primary": {"metric": measured(task)[0], "protocol": "masked" if pretraining else "standard"},
            "settings": {"task": task, **self.settings},
            "digest": {"config": {"task": task}, "code": {"multimae.layers": "c0de"}, "data": {"name": "nyuv2"}},
        }  # fmt: skip

    def attempt(self, run_dir: Path, *, state: str, number: int = 1) -> None:
        folder = run_dir / "attempts" / str(number)
        self.write(
            folder / "job.json",
            {
                "attempt": number,
                "job_id": "7",
                "executor": "local",
                "submitted": time.time() - 900,
                "name": run_dir.name,
            },
        )
        self.write(folder / "started.json", {"pid": 1, "host": "node", "time": time.time() - 890})
        (folder / "err.log").write_text("the end\n")
        messages = {"finished": "", "data": "cannot read depth/all/0007.png: truncated <PNG>", "nan": "the loss is nan"}
        if state in messages:
            self.write(
                folder / "exit.json", {"kind": state, "message": messages[state], "exit_code": 0, "time": time.time()}
            )

    def spool(self, run_dir: Path, *, task: str, better: bool, seed: int, done: bool) -> None:
        random = np.random.default_rng(seed)
        names = ("loss", "loss_rgb", "loss_depth", "loss_semseg") if task == "nyuv2-pretrain" else ("loss",)
        last = 400 if done else 150
        lines: list[dict[str, Any]] = [{"kind": "start", "attempt": 1, "resumed_from_step": 0, "max_steps": 400}]
        for step in range(2, last + 1, 2):
            fall = math.exp(-step / (90 if better else 140))
            values = {f"train/{name}": 0.5 + 2 * fall + float(random.normal(0, 0.06)) for name in names}
            lines.append({"kind": "metrics", "step": step, "values": values | {"train/lr": 1e-3}})
        for step in range(50, last + 1, 50):
            rise = LEVELS.get(measured(task)[0], 1) * (1 - math.exp(-step / (80 if better else 130)))
            validated = f"val/{measured(task)[0]}"
            lines.append({"kind": "metrics", "step": step, "values": {validated: rise + float(random.normal(0, 0.4))}})
        lines.append({"kind": "progress", "step": last, "max_steps": 400, "loss": 0.6})
        path = run_dir / "spool" / "1.jsonl"
        path.parent.mkdir()
        stamped = [{"seq": i + 1, "time": time.time() - 120 + i / 4, **line} for i, line in enumerate(lines)]
        path.write_text("".join(json.dumps(line) + "\n" for line in stamped))

    def result(self, run_dir: Path, described: dict[str, Any]) -> None:
        task = described["task"]
        self.write(
            run_dir / "result.json",
            {
                **described,
                "digest8": run_dir.name[-8:],
                "rows": [row | self.scoring for row in self.rows(described)],
                "baselines": baselines(task),
                "predictions": pictures(run_dir, task=task, seed=described["seed"]),
                "num_params": 3_000_000,
                "steps": 400,
                "seconds": 41.5,
                "attempts": 1,
                "environment": {"torch": "2.9.1", "timm": "1.0.22", "onedl-mmengine": "0.10.10", "numpy": "2.3.5"},
                "notes": [],
            },
        )  # fmt: skip

    def rows(self, described: dict[str, Any]) -> Iterator[dict[str, Any]]:
        task, checkpoint, seed = described["task"], described["checkpoint"], described["seed"]
        num_images = self.num_scored or NUM_IMAGES[described["dataset"]][1]
        if task == "nyuv2-pretrain":
            for metric, value in (("loss_depth", 0.31), ("loss_rgb", 0.42), ("loss_semseg", 1.2)):
                yield {"split": "test", "protocol": "masked", "metric": metric, "value": value, "n": num_images}
            return
        inputs = "+".join(described["inputs"])
        random = np.random.default_rng([seed, len(inputs), len(checkpoint), *task.encode()])
        for protocol in protocols_of(task):
            for metric in measured(task):
                direction = -1 if LEVELS[metric] < 1 else 1
                gain = 1 + direction * (GAIN[inputs] * (checkpoint != "scratch") + 0.12 * (inputs == "rgb+depth"))
                value = LEVELS[metric] * gain * (1 + 0.015 * float(random.normal()))
                self.values[f"{described['key']}/{protocol}/{metric}"] = value
                yield {"split": "test", "protocol": protocol, "metric": metric, "value": value, "n": num_images}

    def finish(self) -> None:
        read = dict.fromkeys(self.datasets)
        sweep = {
            "schema": 1, "suite": self.suite, "dataset": "+".join(read), "profile": self.profile, "size": self.size,
            "datasets": {name: dict(zip(("num_train", "num_test"), NUM_IMAGES[name], strict=True)) for name in read},
            "created": time.time() - 1000, "title": "Invented",
            "command": ["python", "experiments/sweep.py", "--suite", self.suite], "keys": self.keys,
        }  # fmt: skip
        self.write(self.runs_dir / self.suite / "sweep.json", sweep)

    @staticmethod
    def write(path: Path, value: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))


def measured(task: str) -> tuple[str, ...]:
    """Name the metrics of a task, the primary one first."""
    return MEASURED[task.partition("-")[2]]


def protocols_of(task: str) -> tuple[str, ...]:
    return ("standard",) if task.startswith("imagenet") else ("standard", "paper")


def baselines(task: str) -> list[dict[str, Any]]:
    if task == "nyuv2-pretrain":
        levels, protocols = {"loss_depth": 0.8, "loss_rgb": 1.0, "loss_semseg": 2.4}, ("masked",)
    else:
        levels, protocols = (
            {metric: (0.4 if LEVELS[metric] > 1 else 1.6) * LEVELS[metric] for metric in measured(task)},
            protocols_of(task),
        )
    return [
        {"split": "test", "protocol": protocol, "metric": metric, "value": value, "n": 80}
        for protocol in protocols
        for metric, value in levels.items()
    ]


def pictures(run_dir: Path, *, task: str, seed: int) -> list[dict[str, Any]]:
    if seed or task.startswith("imagenet"):  # classes are no picture
        return []
    random = np.random.default_rng(len(run_dir.name))
    kinds = ["rgb", *(() if task.startswith("taskonomy") else ("depth",)), "target", "prediction"]
    if task == "nyuv2-pretrain":
        kinds = ["rgb", "rgb_masked", "rgb_prediction", "depth", "depth_masked", "depth_prediction"]
    found = []
    for name in ("0000", "0001", "0002"):
        images = {kind: f"artifacts/predictions/{name}/{kind}.png" for kind in kinds}
        for kind, path in images.items():
            (run_dir / path).parent.mkdir(parents=True, exist_ok=True)
            draw(kind, task=task, random=random).save(run_dir / path)
        found.append({"name": name, "images": images})
    return found


def draw(kind: str, *, task: str, random: np.random.Generator) -> Image.Image:
    rows, columns = np.mgrid[0:120, 0:160]
    if task.endswith("-semseg") and kind in ("target", "prediction"):
        labels = (rows // 40 + 3 * (columns // 54) + (kind == "prediction") * random.integers(0, 2, (120, 160))) % 9
        palette = np.random.default_rng(0).integers(40, 230, (9, 3))
        return Image.fromarray(palette[labels].astype(np.uint8))
    waves = [np.sin(rows / 17 + phase) * np.cos(columns / 23 + phase) for phase in random.uniform(0, 6, 3)]
    return Image.fromarray((127 + 110 * np.stack(waves, axis=-1)).clip(0, 255).astype(np.uint8))

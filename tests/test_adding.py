"""CONTRIBUTING's table, proven: one of each is added to a copy of the project, then trained and scored."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[1]

DATASET = """
from multimae.data.spec import DatasetSpec, distinct_palette
SPEC = DatasetSpec(
    name="kitchens", title="Kitchens", classes=("left", "middle", "right"), palette=distinct_palette(3),
    depth_mean_mm=2500.0, depth_std_mm=800.0, max_depth_m=10.0, modalities=("rgb", "thermal", "semseg"),
    licence="none", how_to_get="make it",
)
"""
HEAD = """
from mmengine.model import BaseModule
from torch import nn
from torch.nn import functional as F
from multimae.registry import MODELS

@MODELS.register_module(name=["PointHead", "point"])
class PointHead(BaseModule):
    def __init__(self, *, dim, num_main, num_outputs, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(dim * num_main, hidden, 1), nn.GELU(), nn.Conv2d(hidden, num_outputs, 1))

    def forward(self, encoded, *, image_size):
        return F.interpolate(self.layers(encoded.feature_map()), size=image_size, mode="bilinear")
"""
TASK = """
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task
SEMSEG = Task(
    name="kitchens-semseg", kind="semseg", head="point", loss="cross_entropy", protocols=("paper",),
    primary=Primary(metric="macc", protocol="paper"),
    recipes={"cpu": TransferRecipe(epochs=1, batch_size=4, input_size=64)},
)
"""
SUITE = """
from benchmarks.kitchens import SEMSEG
from benchmarks.nyuv2 import PRETRAINING
from experiments.plan.suite import Pretraining, Suite, Transfer
SUITE = Suite(
    name="kitchens", title="Kitchens", dataset="kitchens", seeds=(0,), checkpoints=("scratch",), sizes={"cpu": "mini"},
    pretrainings=(Pretraining(task=PRETRAINING, inputs=("rgb", "thermal")),),
    transfers=(Transfer(task=SEMSEG, inputs=("rgb", "thermal")),),
)
"""

KIND = """
from benchmarks.kind import TransferKind
from benchmarks.recipes import TransferRecipe

class NumberKind(TransferKind[TransferRecipe]):
    recipe = TransferRecipe
    modules = ("multimae.transfer",)
    answers = "vector"
    truth = "metres"

    def predicts(self, target):
        return ""

    def truths(self, *, inputs, outputs, target):
        return ("depth",)

    def num_outputs(self, setup):
        return 1

    def augmentation(self, setup, *, common):
        return {"type": "multimae.MeanDepth", **common}

    def evaluation(self, setup, *, common, protocol):
        return {"type": "multimae.MeanDepth", **common}

    def evaluator(self, dataset, *, protocol):
        return {"type": "multimae.NumberMetric"}

KIND = NumberKind()
"""
JOB_KIND = """
from functools import partial

import numpy as np
import torch

from multimae.data.maps import to_maps
from multimae.data.pipelines.pipeline import Pipeline
from multimae.data.transforms import resize, size_of
from multimae.evaluation.constants import training_images
from multimae.evaluation.scorer import MetricScorer
from multimae.evaluation.scoring import Scoring
from multimae.kinds import JobKind
from multimae.registry import EVALUATORS, TRANSFORMS
from multimae.transfer import named_loss

@TRANSFORMS.register_module()
class MeanDepth(Pipeline):
    def __call__(self, sample):
        depth = sample.maps["depth"].float()
        maps = resize(to_maps(sample, names=self.inputs), to=(self.size, self.size), rgb_filter="bicubic")
        metres = depth[depth > 0].mean() / 1000
        return self.example(sample, maps, targets={"metres": metres}, content=size_of(maps))

@named_loss("metres_l1")
def metres_l1(prediction, targets):
    return (prediction[:, 0] - targets["metres"]).abs().mean()

@EVALUATORS.register_module()
class NumberMetric(Scoring):
    def process(self, data_batch, data_samples):
        errors = torch.stack(list(data_samples))[:, 0].cpu() - data_batch["targets"]["metres"]
        self.results += errors.square().tolist()
        self.num_scored += len(data_samples)

    def process_constant(self, data_batch, constant):
        self.process(data_batch, [constant[None]] * len(data_batch["targets"]["metres"]))

    def compute_metrics(self, results):
        return {"rmse": float(np.sqrt(np.mean(results)))}

def best_constant(item):
    images = training_images(item)
    return float(np.median([images[index]["targets"]["metres"] for index in range(len(images))]))

KIND = JobKind(scorer=partial(MetricScorer, best_constant=best_constant))
"""
NUMBER_SUITE = """
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task
from experiments.plan.suite import Suite, Transfer
TASK = Task(
    name="rooms-distance", kind="number", head="linear", loss="metres_l1", protocols=("standard",),
    primary=Primary(metric="rmse", protocol="standard"),
    recipes={"cpu": TransferRecipe(epochs=1, batch_size=4, input_size=64)},
)
SUITE = Suite(
    name="distance", title="Distances", dataset="nyuv2", seeds=(0,), checkpoints=("scratch",),
    transfers=(Transfer(task=TASK, inputs=("rgb",)),),
)
"""
THERMAL = 'Modality(name="thermal", kind="image", num_channels=1, loss="mse", mean=(0.5,), std=(0.2,))'


def insert(path: Path, *, before: str, text: str) -> None:
    """Add a table entry before a line of the table."""
    source = path.read_text()
    assert source.count(before) == 1
    path.write_text(source.replace(before, text + before))


def copied(to: Path) -> Path:
    """Copy the project."""
    for folder in ("multimae", "benchmarks", "experiments", "slurm", "reports"):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__", "*.xz"))
    return to


def swept(home: Path, suite: str, *, data: Path) -> tuple[dict[str, Any], str]:
    """Run a suite of one run; return its result and the report."""
    runs = home.parent / "runs"
    sweep = [sys.executable, str(home / "experiments" / "sweep.py"), "--suite", suite, "--executor", "local"]
    places = ["--data-root", str(data), "--runs-dir", str(runs)]
    done = subprocess.run([*sweep, *places], capture_output=True, text=True, timeout=240, cwd=home.parent)
    logs = "".join(path.read_text() for path in runs.glob(f"{suite}/*/attempts/*/err.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    (result,) = (json.loads(path.read_text()) for path in runs.glob(f"{suite}/*/result.json"))
    return result, (runs / suite / "report" / "index.html").read_text()


def test_one_file_or_one_entry_each_is_enough(tmp_path: Path) -> None:
    home = copied(tmp_path / "project")
    (home / "multimae" / "data" / "sets" / "kitchens.py").write_text(DATASET)
    (home / "multimae" / "heads" / "point.py").write_text(HEAD)
    (home / "benchmarks" / "kitchens.py").write_text(TASK)
    (home / "experiments" / "suites" / "kitchens.py").write_text(SUITE)
    insert(
        home / "multimae" / "tables" / "modalities.py",
        before='            Modality(name="depth"',
        text=f"            {THERMAL},\n",
    )
    insert(
        home / "multimae" / "tables" / "sizes.py",
        before='        "small": Size(',
        text='        "mini": Size(dim=32, depth=1, num_heads=2, dpt_hooks=(0, 0, 0, 0), dpt_layer_dims=(8, 8, 8, 8), '
        "point_hidden=16),\n",
    )
    insert(
        home / "multimae" / "tables" / "sizes.py", before="    dpt_hooks: tuple", text="    point_hidden: int = 64\n"
    )
    data = write_frames(tmp_path / "data", num_train=4, num_test=2)
    (data / "nyuv2").rename(data / "kitchens")
    for path in (data / "kitchens").glob("*/semseg/all/*.png"):
        thermal = path.parents[2] / "thermal" / "all" / path.name
        thermal.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(Image.open(path)) * 60).save(thermal)

    result, report = swept(home, "kitchens", data=data)
    assert result["dataset"] == "kitchens"
    assert result["inputs"] == ["rgb", "thermal"]
    assert {row["metric"] for row in result["rows"]} == {"miou", "macc", "aacc"}
    assert "Kitchens" in report


def test_a_kind_of_task_is_one_file_in_two_halves(tmp_path: Path) -> None:
    home = copied(tmp_path / "project")
    (home / "benchmarks" / "kinds" / "number.py").write_text(KIND)
    (home / "multimae" / "kinds" / "number.py").write_text(JOB_KIND)
    (home / "experiments" / "suites" / "distance.py").write_text(NUMBER_SUITE)
    result, report = swept(home, "distance", data=write_frames(tmp_path / "data", num_train=4, num_test=2))
    assert result["steps"] == 1
    (row,), (constant,) = result["rows"], result["baselines"]
    assert (row["metric"], row["n"]) == ("rmse", 2)
    assert row["value"] > 0
    assert constant["metric"] == "rmse"
    assert result["predictions"] == []
    (described,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/distance/*/run.json"))
    assert described["kind"] == "number"
    assert "rooms-distance" in report
    assert "validation RMSE (m)" in report

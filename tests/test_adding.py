"""CONTRIBUTING's table, proven: one of each is added to a copy of the project, then trained and scored."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

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
from types import MappingProxyType
from benchmarks.recipes import TransferRecipe
from benchmarks.task import Primary, Task
SEMSEG = Task(
    name="kitchens-semseg", kind="semseg", head="point", loss="cross_entropy", protocols=("paper",),
    primary=Primary(metric="macc", protocol="paper"),
    recipes=MappingProxyType({"cpu": TransferRecipe(epochs=1, batch_size=4, input_size=64)}),
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


THERMAL = 'Modality(name="thermal", kind="image", num_channels=1, loss="mse", mean=(0.5,), std=(0.2,))'


def insert(path: Path, *, before: str, text: str) -> None:
    """Add a table entry before a line of the table."""
    source = path.read_text()
    assert source.count(before) == 1
    path.write_text(source.replace(before, text + before))


def test_one_file_or_one_entry_each_is_enough(tmp_path: Path) -> None:
    home = tmp_path / "project"
    for folder in ("multimae", "benchmarks", "experiments", "slurm", "reports"):
        shutil.copytree(ROOT / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__", "*.xz"))
    (home / "multimae" / "data" / "kitchens.py").write_text(DATASET)
    (home / "multimae" / "heads" / "point.py").write_text(HEAD)
    (home / "benchmarks" / "kitchens.py").write_text(TASK)
    (home / "experiments" / "suites" / "kitchens.py").write_text(SUITE)
    insert(
        home / "multimae" / "modalities.py",
        before='            Modality(name="depth"',
        text=f"            {THERMAL},\n",
    )
    insert(
        home / "multimae" / "sizes.py",
        before='        "small": Size(',
        text='        "mini": Size(dim=32, depth=1, num_heads=2, dpt_hooks=(0, 0, 0, 0), dpt_layer_dims=(8, 8, 8, 8), '
        "point_hidden=16),\n",
    )
    insert(home / "multimae" / "sizes.py", before="    dpt_hooks: tuple", text="    point_hidden: int = 64\n")
    data = write_frames(tmp_path / "data", num_train=4, num_test=2)
    (data / "nyuv2").rename(data / "kitchens")
    for path in (data / "kitchens").glob("*/semseg/all/*.png"):
        thermal = path.parents[2] / "thermal" / "all" / path.name
        thermal.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(Image.open(path)) * 60).save(thermal)

    sweep = [sys.executable, str(home / "experiments" / "sweep.py"), "--suite", "kitchens", "--executor", "local"]
    places = ["--data-root", str(data), "--runs-dir", str(tmp_path / "runs")]
    done = subprocess.run([*sweep, *places], capture_output=True, text=True, timeout=240, cwd=tmp_path)
    logs = "".join(path.read_text() for path in tmp_path.glob("runs/kitchens/*/attempts/*/err.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/kitchens/*/result.json"))
    assert result["dataset"] == "kitchens"
    assert result["inputs"] == ["rgb", "thermal"]
    assert {row["metric"] for row in result["rows"]} == {"miou", "macc", "aacc"}
    assert "Kitchens" in (tmp_path / "runs" / "kitchens" / "report" / "index.html").read_text()

"""Code that scores is changed in a copy of the project: finished runs are scored again under their names, not trained.

The same for a change of training code that a user accepts, for what finished runs keep, and for what gc frees.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.drive.test_sweep import BRIEF, QUICK, run_dirs, spool
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]


BOTH, STANDARD = (
    f'loss="cross_entropy",\n    protocols={names},' for names in ('("standard", "paper")', '("standard",)')
)


class Project:
    """A copy of the project with a runs folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home / "project"
        self.runs = home / "runs"
        for folder in ("multimae", "benchmarks", "experiments", "slurm", "reports"):
            ignored = shutil.ignore_patterns("__pycache__", "*.xz", "_bundle")
            shutil.copytree(ROOT / folder, self.home / folder, ignore=ignored)
        self.data = write_frames(home / "data")
        self.edit("benchmarks/nyuv2.py", BOTH, STANDARD)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.home / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def sweep(self, *options: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, str(self.home / "experiments" / "sweep.py"), "--suite", str(BRIEF)]
        places = ["--data-root", str(self.data), "--runs-dir", str(self.runs), "--executor", "local"]
        done = subprocess.run([*program, *places, *QUICK, *options], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def results(self) -> dict[str, Any]:
        return {task: json.loads((folder / "result.json").read_text()) for task, folder in run_dirs(self.runs).items()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("scored_again"))
    made.sweep()
    return made


def weights_of(run_dir: Path) -> dict[str, Any]:
    import torch

    state: dict[str, Any] = torch.load(run_dir / "checkpoints" / "last.pth", weights_only=True)
    return state


def test_finished_runs_keep_their_weights_alone(project: Project) -> None:
    for run_dir in run_dirs(project.runs).values():
        assert set(weights_of(run_dir)) == {"step", "model"}
        assert [path.name for path in (run_dir / "checkpoints").iterdir()] == ["last.pth"]


def test_a_mended_metric_scores_its_runs_again_and_trains_none(project: Project) -> None:
    before, folders = project.results(), run_dirs(project.runs)
    project.edit("multimae/evaluation/depth.py", "100 * share.mean()", "50 * share.mean()")
    planned = project.sweep("--dry-run", "--why").stdout
    assert f"{folders['nyuv2-depth'].name} is scored again: evaluation/depth.py changed" in planned
    assert "new:" not in planned
    project.sweep()
    after = project.results()
    assert run_dirs(project.runs) == folders
    for task in ("nyuv2-pretrain", "nyuv2-semseg"):
        assert after[task] == before[task]
    old, new = before["nyuv2-depth"], after["nyuv2-depth"]
    values = [{(row["protocol"], row["metric"]): row["value"] for row in result["rows"]} for result in (old, new)]
    for (protocol, metric), value in values[0].items():
        assert values[1][protocol, metric] == (value / 2 if metric.startswith("delta") else value)
    assert new["scoring"] != old["scoring"]
    assert new["earlier"][0]["code"] == old["scoring"]
    assert new["earlier"][0]["rows"] == old["rows"]
    trained = [event for event in spool(folders["nyuv2-depth"], 2) if "train/loss" in event.get("values", {})]
    assert not trained
    assert "nothing to start: 3 finished" in project.sweep().stdout


def test_an_added_protocol_scores_its_runs_again_and_trains_none(project: Project) -> None:
    before, folders = project.results(), run_dirs(project.runs)
    assert {row["protocol"] for row in before["nyuv2-semseg"]["rows"]} == {"standard"}
    project.edit("benchmarks/nyuv2.py", STANDARD, BOTH)
    planned = project.sweep("--dry-run", "--why").stdout
    assert f"{folders['nyuv2-semseg'].name} is scored again: protocol paper was added" in planned
    assert "new:" not in planned
    project.sweep()
    after = project.results()
    assert run_dirs(project.runs) == folders
    for task in ("nyuv2-pretrain", "nyuv2-depth"):
        assert after[task] == before[task]
    rows = after["nyuv2-semseg"]["rows"]
    assert [row for row in rows if row["protocol"] == "standard"] == before["nyuv2-semseg"]["rows"]
    assert {row["protocol"] for row in rows} == {"standard", "paper"}
    assert "nothing to start: 3 finished" in project.sweep().stdout


def test_accepted_code_keeps_finished_runs_and_is_recorded(project: Project) -> None:
    folders, before = run_dirs(project.runs), project.results()
    path = project.home / "multimae" / "layers.py"
    path.write_text(path.read_text() + "\nNEW_CONSTANT = 1\n")
    planned = project.sweep("--dry-run", "--why").stdout
    assert "3 runs are new: code.multimae.layers: " in planned
    assert "nothing to start: 3 finished" in project.sweep("--accept-code").stdout
    assert run_dirs(project.runs) == folders
    after = project.results()
    for task, result in after.items():
        (accepted,) = result["accepted"]
        assert any(change.startswith("code.multimae.layers: ") for change in accepted["changes"])
        assert result["rows"] == before[task]["rows"]
    # What was accepted once needs no second word.
    assert "nothing to start: 3 finished" in project.sweep().stdout
    assert "multimae.layers" in (project.runs / "brief" / "report" / "index.html").read_text()


def test_gc_says_what_it_would_free_and_frees_it(project: Project) -> None:
    program = [sys.executable, "-m", "multimae.cli", "gc", "--runs-dir", str(project.runs)]

    def gc(*options: str) -> str:
        done = subprocess.run([*program, *options], capture_output=True, text=True, cwd=project.home, check=True)
        return done.stdout

    pretraining = run_dirs(project.runs)["nyuv2-pretrain"]
    orphan = project.runs / "brief" / "nyuv2-semseg-scratch-rgb-s9-00000000"
    shutil.copytree(pretraining, orphan)
    litter = pretraining / "checkpoints" / ".next.pth.123.tmp"
    litter.write_bytes(b"half")
    kept = {path: path.stat().st_mtime_ns for path in project.runs.rglob("*") if path.is_file()}
    said = gc()
    assert "1 checkpoints of runs in no plan" in said
    assert "1 leftovers of killed writers" in said
    assert "--yes frees it" in said
    assert {path: path.stat().st_mtime_ns for path in project.runs.rglob("*") if path.is_file()} == kept
    assert "freed" in gc("--yes")
    assert not litter.exists()
    assert not (orphan / "checkpoints").exists()
    assert (orphan / "result.json").exists()
    assert (pretraining / "checkpoints" / "last.pth").exists()
    assert not list((project.runs / "brief" / "code").iterdir())
    assert "nothing to start: 3 finished" in project.sweep().stdout

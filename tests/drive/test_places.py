"""Data sets, weights and runs folders that move: each start reads where they lay when it was submitted, or says so."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.drive.driver import Driver
from experiments.drive.trainings import works_of
from experiments.drive.work import Machine
from experiments.plan.datasource import find_all_data
from experiments.plan.planning import PlannedRun, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import StartingWeights, expand
from multimae.data.sample import DataError
from multimae.engine.failures import SettingsError
from multimae.engine.places import config_of, starting_weights
from multimae.engine.signals import StopRequest
from multimae.record.attempt import Attempt, attempts_of, current_attempt
from multimae.record.job import JobState
from multimae.record.places import Places
from multimae.record.run import Run
from multimae.train import run_attempt
from tests.made.brief_suite import SUITE as BRIEF
from tests.made.tinydata import write_frames

SHORT = {"input_size": 64, "batch_size": 4, "epochs": 1}


class Queue:
    """A scheduler that takes jobs and starts none of them."""

    name = "local"
    has_queue = False

    def submit(self, command: Any, **_: Any) -> str:
        return " ".join(command)

    def states(self, ids: Any) -> Mapping[str, JobState]:
        return dict.fromkeys(ids, JobState.QUEUED)

    def cancel(self, ids: Any) -> None:
        """Do nothing."""

    def find(self, run_dirs: Any) -> Mapping[Path, str]:
        return {}


def plan(data_root: Path, *, weights: Path | None = None) -> tuple[PlannedRun, ...]:
    """The two transfers of the brief suite, from scratch or from a file."""
    recipes = {one.task.name: dataclasses.replace(one.task.recipes["cpu"], **SHORT) for one in BRIEF.transfers}  # type: ignore[arg-type]
    starts, names = (), ("scratch",)
    if weights:
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        starts, names = (StartingWeights(name="mine", path=weights, digest=digest),), ("mine",)
    runs = expand(
        dataclasses.replace(BRIEF, pretrainings=()),
        recipes=recipes,
        profile="cpu",
        size="tiny",
        seeds=(0,),
        checkpoints=names,
        weights=starts,
    )
    return make_plan(runs, data=find_all_data(runs, data_root=data_root))


def submit(planned: tuple[PlannedRun, ...], suite_dir: Path) -> Attempt:
    """Prepare the first run and submit it, as a driver does."""
    machine = Machine(cores=4)
    driver = Driver(
        works_of(planned[:1], suite_dir=suite_dir, machine=machine),
        suite_dir=suite_dir,
        launcher=Queue(),
        machine=machine,
    )
    folder = prepare(planned[0], suite_dir=suite_dir)
    driver._submit(driver.works[planned[0].key], waits_for=())
    return attempts_of(folder)[-1]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "data", num_train=8, num_test=2)


def test_each_start_has_the_places_that_it_was_submitted_with(tmp_path: Path, data: Path) -> None:
    suite_dir = tmp_path / "runs"
    first = submit(plan(data), suite_dir)
    moved = shutil.move(data, tmp_path / "moved") / Path("nyuv2")
    second = submit(plan(tmp_path / "moved"), suite_dir)
    assert (first.run_dir, first.number, second.number) == (second.run_dir, 1, 2)  # the same run
    assert first.places == Places(data=str(data / "nyuv2"))
    assert second.places == Places(data=str(moved))
    # What is run by hand, and what a report reads.
    assert str(data) not in (first.run_dir / "config.py").read_text()
    assert Run.of(first.run_dir).dataset.root == str(moved)
    run = Run.of(first.run_dir)
    config = config_of(second, run=run)
    assert {item.dataloader.dataset.root for item in config.job.evaluations} == {str(moved)}
    assert config.train_dataloader.dataset.root == str(moved)
    with pytest.raises(DataError, match=f"attempt 1 reads nyuv2 from {data / 'nyuv2'}, which is gone"):
        config_of(first, run=run)


def test_a_second_root_with_the_same_content_is_read_though_the_first_is_there(tmp_path: Path, data: Path) -> None:
    waits = submit(plan(data), tmp_path / "runs")
    shutil.copytree(data, tmp_path / "d2")
    now = submit(plan(tmp_path / "d2"), tmp_path / "runs")
    run = Run.of(now.run_dir)
    assert config_of(now, run=run).train_dataloader.dataset.root == str(tmp_path / "d2" / "nyuv2")
    # The job that waits is not disturbed, though config.py has been written again.
    assert config_of(waits, run=run).train_dataloader.dataset.root == str(data / "nyuv2")


def test_other_data_in_the_place_is_another_run_and_stops_the_job_that_waits(tmp_path: Path, data: Path) -> None:
    attempt = submit(plan(data), tmp_path / "runs")
    extra = data / "nyuv2" / "train" / "rgb" / "all" / "0000.png"
    extra.write_bytes(extra.read_bytes() + b" ")
    assert plan(data)[0].key != attempt.run_dir.name
    assert run_attempt(attempt, stop=StopRequest()) == 3
    ending = attempt.ending
    assert ending is not None
    assert ending.kind == "data"
    assert f"{data / 'nyuv2'} holds other data than attempt 1 was planned on" in ending.message


def test_files_of_weights_follow_and_are_checked(tmp_path: Path, data: Path) -> None:
    old, new = tmp_path / "old.pth", tmp_path / "new.pth"
    torch.save({"model": {}}, old)
    first = submit(plan(data, weights=old), tmp_path / "runs")
    old.rename(new)
    second = submit(plan(data, weights=new), tmp_path / "runs")
    assert (first.run_dir, str(new)) == (second.run_dir, second.places.weights if second.places else "")
    run = Run.of(first.run_dir)
    assert starting_weights(config_of(second, run=run), run=run, attempt=second) == new
    with pytest.raises(SettingsError, match=f"attempt 1 starts from the weights in {old}, which is gone"):
        starting_weights(config_of(first, run=run), run=run, attempt=first)
    torch.save({"model": {"other": torch.zeros(1)}}, old)
    with pytest.raises(SettingsError, match=f"{old} holds other weights than attempt 1 was planned to start from"):
        starting_weights(config_of(first, run=run), run=run, attempt=first)


def test_a_requeued_job_reads_where_it_was_submitted_to_and_a_start_by_hand_as_config_says(
    tmp_path: Path, data: Path
) -> None:
    submitted = submit(plan(data), tmp_path / "runs")
    again = current_attempt(submitted.run_dir, submitted=1, environ={"SLURM_RESTART_COUNT": "1"})
    assert (again.number, again.places) == (2, submitted.places)
    by_hand = current_attempt(submitted.run_dir, submitted=None, environ={})
    assert (by_hand.number, by_hand.places) == (3, None)


def test_the_same_places_write_nothing_again(tmp_path: Path, data: Path) -> None:
    folder = prepare(plan(data)[0], suite_dir=tmp_path / "runs")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    prepare(plan(data)[0], suite_dir=tmp_path / "runs")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_moved_runs_folder_and_moved_data_go_on(tmp_path: Path, data: Path) -> None:
    """The real thing: train, move both, train more from the pre-training in its new place, report, clean up."""
    root = Path(__file__).parents[2]
    sweep = [sys.executable, str(root / "experiments" / "sweep.py")]
    common = ["--suite", str(root / "tests" / "made" / "brief_suite.py"), "--executor", "local"]
    common += ["--set", "recipe.input_size=64", "--set", "pretraining.input_size=64", "--set", "recipe.batch_size=4"]
    common += ["--set", "pretraining.num_visible_tokens=12"]

    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([*sweep, *common, *options], capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run("--data-root", "data", "--runs-dir", "runs")
    before = {path.name for path in (tmp_path / "runs" / "brief").glob("*/run.json")}
    (tmp_path / "elsewhere").mkdir()
    shutil.move(data, tmp_path / "elsewhere" / "d2")
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere" / "runs")
    places = ("--data-root", "elsewhere/d2", "--runs-dir", "elsewhere/runs")
    assert "nothing to start: 3 finished" in run(*places).stdout
    said = run(*places, "--seeds", "1").stdout
    assert f"reads nyuv2 in {tmp_path / 'elsewhere' / 'd2' / 'nyuv2'}" in said
    suite_dir = tmp_path / "elsewhere" / "runs" / "brief"
    assert before <= {path.name for path in suite_dir.glob("*/run.json")}
    fresh = next(suite_dir.glob("nyuv2-depth-pretrain-rgb-s1-*"))
    log = (fresh / "attempts" / "1" / "out.log").read_text()
    assert f"reads nyuv2 from {tmp_path / 'elsewhere' / 'd2' / 'nyuv2'}" in log
    assert "loaded" in log
    for config in suite_dir.glob("*/config.py"):
        assert str(data) not in config.read_text()
    assert json.loads((suite_dir / "sweep.json").read_text())["datasets"]["nyuv2"]["folder"] == "nyuv2"
    free = [sys.executable, "-m", "multimae.cli", "gc", "--runs-dir", str(suite_dir.parent), "--yes"]
    assert subprocess.run(free, capture_output=True, timeout=60).returncode == 0

"""The same folder gets the same answer from a sweep, its plan, the report, tracking and the run's own state."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from experiments.drive.driver import Driver
from experiments.drive.work import Machine, Work, execution
from experiments.track.ingest import states_of
from multimae.record.attempt import Attempt, new_attempt
from multimae.record.job import Job, JobState
from multimae.record.paths import RunDir
from multimae.record.run import Run
from multimae.record.state import SILENT_AFTER_S, run_state
from multimae.record.sweep import Sweep
from reports.read.results import read_suite
from slurm.cluster import Resources

KEY = "nyuv2-semseg-scratch-rgb-s0-01234567"


class NobodyToAsk:
    """A launcher without a scheduler that could say anything about a job."""

    name = "local"
    has_queue = False

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        return dict.fromkeys(ids, JobState.UNKNOWN)


def attempt(run_dir: Path, *, ended: str = "", message: str = "", beat: float | None = None) -> Attempt:
    """Leave the files of one start: `beat` seconds ago it last gave a sign of life."""
    made = new_attempt(run_dir)
    Job(attempt=made.number, job_id="7", executor="local", submitted=time.time() - 5000, name=KEY).write(made.files.job)
    if beat is not None or ended:
        made.files.started.write_text(json.dumps({"pid": 1, "host": "n", "time": time.time() - 4000}))
    if beat is not None:
        spool = made.spool_path
        spool.parent.mkdir(exist_ok=True)
        line = {"kind": "progress", "time": time.time() - beat, "step": 3, "max_steps": 10}
        spool.write_text(json.dumps(line) + "\n")
    if ended:
        made.end(kind=ended, message=message)  # type: ignore[arg-type]
    return made


def nothing(run_dir: Path) -> None:
    """Leave no attempt."""


FOLDERS: Mapping[str, tuple[Any, str]] = {
    "never submitted": (nothing, "new"),
    "submitted, not started": (attempt, "queued"),
    "beating": (lambda run: attempt(run, beat=1), "running"),
    "silent for 400 s": (lambda run: attempt(run, beat=400), "running"),
    "silent for too long": (lambda run: attempt(run, beat=SILENT_AFTER_S + 60), "vanished"),
    "paused": (lambda run: attempt(run, ended="paused"), "paused"),
    "superseded": (lambda run: attempt(run, ended="superseded"), "vanished: superseded"),
    "superseded after a failure": (
        lambda run: (attempt(run, ended="data"), attempt(run, ended="superseded")),
        "failed: data",
    ),
    "preempted": (lambda run: attempt(run, ended="preempted"), "preempted"),
    "time limit": (lambda run: attempt(run, ended="timeout"), "preempted: timeout"),
    "diverged": (lambda run: attempt(run, ended="nan"), "diverged"),
    "failed": (lambda run: attempt(run, ended="gpu_oom"), "failed: gpu_oom"),
    "of a kind nobody knows": (
        lambda run: attempt(run).files.ending.write_text('{"kind": "moon", "message": "phase"}'),
        "failed: error",
    ),
    "finished without a result": (lambda run: attempt(run, ended="finished"), "failed: error"),
    "failed, then submitted again": (lambda run: (attempt(run, ended="data"), attempt(run)), "queued"),
    "finished": (
        lambda run: (
            attempt(run, ended="finished"),
            (run / "result.json").write_text(json.dumps({"key": KEY, "suite": "nyuv2"})),
        ),
        "finished",
    ),
}


def of_the_sweep(suite_dir: Path) -> str:
    folder = suite_dir / KEY
    asked = Resources(cpus=1, gpus=0, memory_gb=0, minutes=1)
    work = Work(key=KEY, folder=folder, command=execution(folder), resources=asked)
    launcher: Any = NobodyToAsk()
    return Driver([work], suite_dir=suite_dir, launcher=launcher, machine=Machine(cores=1)).look()[KEY].text


def of_the_report(suite_dir: Path) -> str:
    (run,) = read_suite(suite_dir.parent, suite=suite_dir.name, now=time.time()).runs
    return run.state.text


def of_tracking(suite_dir: Path) -> str:
    found = states_of(suite_dir, keys=[KEY], known={})
    return found[KEY].text if found else "new"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_reader_says_the_same(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurm.choosing._earlier", lambda executor: NobodyToAsk())
    leave, wanted = FOLDERS[folder]
    suite_dir = tmp_path / "nyuv2"
    run = Run(key=KEY, suite="nyuv2", kind="semseg", task="nyuv2-semseg", checkpoint="scratch", inputs=("rgb",))
    (suite_dir / KEY).mkdir(parents=True)
    run.write(suite_dir / KEY)
    Sweep(suite="nyuv2", keys=(KEY,)).write(suite_dir)
    leave(suite_dir / KEY)
    said = {reader.__name__: reader(suite_dir) for reader in (of_the_sweep, of_the_report, of_tracking)}
    said["run_state"] = run_state(suite_dir / KEY, now=time.time()).text
    assert said == dict.fromkeys(said, wanted)


def test_a_pretraining_is_known_by_its_kind_not_by_its_name(tmp_path: Path) -> None:
    suite_dir = tmp_path / "mine"
    for key, kind in (
        ("warmup-scratch-rgb-s0-00000000", "pretraining"),
        ("x-pretrain-scratch-rgb-s0-00000001", "depth"),
    ):
        (suite_dir / key).mkdir(parents=True)
        Run(key=key, suite="mine", kind=kind, task=key.partition("-scratch")[0], inputs=("rgb",)).write(suite_dir / key)
    Sweep(suite="mine", keys=tuple(sorted(path.name for path in suite_dir.iterdir()))).write(suite_dir)
    results = read_suite(tmp_path, suite="mine", now=time.time())
    assert {run.task: run.pretraining for run in results.runs} == {"warmup": True, "x-pretrain": False}
    assert results.pretraining_tasks == {"warmup"}


def test_a_run_of_schema_1_names_no_kind(tmp_path: Path) -> None:
    record = {"schema": 1, "key": "k", "suite": "s", "task": "nyuv2-pretrain", "inputs": ["rgb"], "seed": 3}
    RunDir(tmp_path).run.write_text(json.dumps(record))
    run = Run.read(tmp_path)
    assert run is not None
    assert (run.pretraining, run.seed, run.inputs) == (True, 3, ("rgb",))

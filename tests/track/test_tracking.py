"""Ingestion into a real MLflow store: complete, once, whatever was killed in between."""

import json
import math
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.track.ingest import IngestReport, ingest
from experiments.track.store import _create_database, local_uri
from multimae.record.attempt import new_attempt
from multimae.record.events import points, read_events, resumed_steps
from multimae.record.files import write_json
from multimae.record.job import Job
from multimae.record.paths import RunDir

ROOT = Path(__file__).parents[2]
SUITE = "nyuv2"
T0 = 1_790_000_000.0
A, B = "nyuv2-semseg-scratch-rgb-s0-00000001", "nyuv2-semseg-scratch-rgb-s1-00000002"
PNG = b"\x89PNG not really"

# MLflow's own store uses a loading strategy that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once: its migrations take seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    _create_database(path)
    return path


@pytest.fixture
def runs(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(
        "experiments.track.store._create_database", lambda path: path.exists() or shutil.copy(empty_database, path)
    )
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    assert not (Path.cwd() / "mlruns").exists()


def write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def plan(runs: Path, *keys: str) -> None:
    record = {"schema": 1, "suite": SUITE, "title": "NYUv2", "dataset": "rooms", "profile": "demo", "size": "tiny"}
    write(runs / SUITE / "sweep.json", {**record, "command": ["sweep", "--suite", SUITE], "created": T0, "keys": keys})


def submitted(runs: Path, key: str) -> Path:
    """Make a run directory with one more attempt."""
    run_dir = runs / SUITE / key
    run = {"schema": 1, "key": key, "suite": SUITE, "task": "nyuv2-semseg", "checkpoint": "scratch", "inputs": ["rgb"]}
    run |= {"seed": 0, "size": "tiny", "profile": "demo", "dataset": {"name": "rooms"}, "depends_on": []}
    run |= {
        "settings": {"recipe.lr": 1e-3, "long": "x" * 7000, "image_size": [64, 64]},
        "digest": {"config": {"task": "c"}},
    }
    write(run_dir / "run.json", run)
    (run_dir / "config.py").write_text("model = dict()\n")
    attempt = new_attempt(run_dir)
    job = Job(attempt=attempt.number, job_id=f"4{attempt.number}", executor="slurm", submitted=T0, name=key)
    job.write(attempt.files.job)
    write(attempt.files.started, {"pid": 1, "host": "n1", "time": time.time()})
    return run_dir


def spool(run_dir: Path, attempt: int, *events: dict[str, Any], torn: str = "") -> None:
    path = run_dir / "spool" / f"{attempt}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write("".join(json.dumps({"seq": 0, "time": T0, **event}) + "\n" for event in events) + torn)


def start(attempt: int, at: int) -> dict[str, Any]:
    return {"kind": "start", "attempt": attempt, "resumed_from_step": at, "max_steps": 10}


def losses(*steps: int, attempt: int = 1) -> list[dict[str, Any]]:
    """One point a step; its value tells the attempt."""
    return [
        {
            "kind": "metrics",
            "time": T0 + attempt * 100 + step,
            "step": step,
            "values": {"train/loss": attempt + step / 100},
        }
        for step in steps
    ]


def finish(run_dir: Path) -> None:
    rows = [{"split": "test", "protocol": "standard", "metric": "miou", "value": 12.5, "n": 80}]
    rows += [{"split": "test", "protocol": "paper", "metric": "miou", "value": None, "diverged": True, "n": 80}]
    baselines = [{**rows[0], "value": 2.0}]
    result = {
        "schema": 1,
        "key": run_dir.name,
        "suite": SUITE,
        "rows": rows,
        "baselines": baselines,
        "steps": 10,
        "finished": T0 + 999,
    }
    write(run_dir / "result.json", result)


def client(runs: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=local_uri(runs))


def children(runs: Path) -> dict[str, Any]:
    """The runs that MLflow's UI shows under the sweep, by name."""
    store = client(runs)
    experiment = store.get_experiment_by_name(SUITE).experiment_id
    everything = store.search_runs([experiment])
    parents = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    below = store.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parents[0].info.run_id}'")
    assert len(below) == len(everything) - 1
    names = {run.info.run_name: run for run in below}
    assert len(names) == len(below)
    return names


def curve(runs: Path, key: str, name: str = "train/loss") -> list[tuple[int, float]]:
    history = client(runs).get_metric_history(children(runs)[key].info.run_id, name)
    return sorted((point.step, point.value) for point in history)


def whole(*steps: int, attempt: int = 1) -> list[tuple[int, float]]:
    return [(step, attempt + step / 100) for step in steps]


def test_everything_of_a_finished_run(runs: Path) -> None:
    plan(runs, A, B)
    run_dir = submitted(runs, A)
    picture = "artifacts/predictions/first/rgb.png"
    (run_dir / picture).parent.mkdir(parents=True)
    (run_dir / picture).write_bytes(PNG)
    spool(run_dir, 1, start(1, 0), {"kind": "params", "values": {"recipe.lr": 1e-3, "from_spool": "yes"}})
    spool(run_dir, 1, *losses(*range(2500)))
    spool(run_dir, 1, {"kind": "metrics", "step": 10, "values": {"test/standard/miou": 12.5, "train/lr": None}})
    spool(run_dir, 1, {"kind": "artifact", "path": picture, "name": "predictions/first/rgb.png"})
    finish(run_dir)
    report = ingest(runs, SUITE)
    assert report == IngestReport(num_runs=1, num_points=2504, num_artifacts=4)

    run = children(runs)[A]  # B was never submitted
    assert (run.info.status, run.info.end_time) == ("FINISHED", int((T0 + 999) * 1000))
    assert run.data.params["recipe.lr"] == "0.001"
    assert run.data.params["image_size"] == "[64, 64]"
    assert run.data.params["from_spool"] == "yes"
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["inputs"] == "rgb"
    tags = {
        name: run.data.tags[name] for name in ("seed", "task", "checkpoint", "inputs", "attempts", "job_id", "status")
    }
    assert list(tags.values()) == ["0", "nyuv2-semseg", "scratch", "rgb", "1", "41", "finished"]
    assert len(curve(runs, A)) == 2500
    assert curve(runs, A, "test/standard/miou") == [(10, 12.5)]  # of the spool, not again of the result
    assert curve(runs, A, "baseline/test/standard/miou") == [(10, 2.0)]
    assert math.isnan(curve(runs, A, "test/paper/miou")[0][1])
    assert math.isnan(curve(runs, A, "train/lr")[0][1])
    assert run.info.artifact_uri.startswith(f"mlflow-artifacts:/{SUITE}/")
    artifacts = runs / "mlartifacts" / run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    names = {str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file()}
    assert names == {"config.py", "run.json", "result.json", "predictions/first/rgb.png"}
    assert (artifacts / "predictions/first/rgb.png").read_bytes() == PNG


def test_running_run_grows_and_nothing_new_costs_nothing(runs: Path) -> None:
    plan(runs, A)
    run_dir = submitted(runs, A)
    spool(run_dir, 1, start(1, 0), *losses(1, 2), torn='{"kind": "metrics", "step": 3, "val')
    assert ingest(runs, SUITE).num_points == 2
    assert children(runs)[A].info.status == "RUNNING"
    assert ingest(runs, SUITE) == IngestReport()

    # The writer goes on where the line was torn: it was not, it was only read too early.
    with (run_dir / "spool" / "1.jsonl").open("a") as file:
        file.write('ues": {"train/loss": 1.03}, "time": 1.0}\n')
    spool(run_dir, 1, {"kind": "progress", "step": 4, "max_steps": 10})
    assert ingest(runs, SUITE).num_points == 1
    assert curve(runs, A) == whole(1, 2, 3)
    before = client(runs).get_experiment_by_name(SUITE)
    spool(run_dir, 1, {"kind": "progress", "step": 5, "max_steps": 10})
    assert ingest(runs, SUITE) == IngestReport()
    assert client(runs).get_experiment_by_name(SUITE).last_update_time == before.last_update_time

    code = f"""
        import sys
        from pathlib import Path
        from experiments.track.ingest import ingest
        ingest(Path({str(runs)!r}), {SUITE!r})
        assert "mlflow" not in sys.modules and "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)


def test_resumed_run_has_every_step_once(runs: Path) -> None:
    plan(runs, A)
    run_dir = submitted(runs, A)
    spool(run_dir, 1, start(1, 0), *losses(1, 2, 3, 4, 5))
    ingest(runs, SUITE)
    submitted(runs, A)
    spool(run_dir, 2, start(2, 3), *losses(4, attempt=2))
    ingest(runs, SUITE)
    assert curve(runs, A) == whole(1, 2, 3) + whole(4, attempt=2)
    # The first attempt's node was lost, not dead: what it still writes does not count.
    spool(run_dir, 1, *losses(6, 7))
    spool(run_dir, 2, *losses(5, attempt=2))
    ingest(runs, SUITE)
    assert curve(runs, A) == whole(1, 2, 3) + whole(4, 5, attempt=2)
    assert children(runs)[A].data.tags["attempts"] == "2"
    # A resume that loses nothing keeps the MLflow run.
    run_id = children(runs)[A].info.run_id
    submitted(runs, A)
    spool(run_dir, 3, start(3, 5), *losses(6, attempt=3))
    ingest(runs, SUITE)
    assert curve(runs, A)[-1] == (6, 3.06)
    assert children(runs)[A].info.run_id == run_id
    # An evaluation after the last step, done again by the next attempt.
    submitted(runs, A)
    spool(run_dir, 4, start(4, 6), *losses(6, attempt=4))
    ingest(runs, SUITE)
    assert curve(runs, A)[-2:] == [(5, 2.05), (6, 4.06)]


def test_points_without_a_store(tmp_path: Path) -> None:
    spool_dir = tmp_path
    spool(spool_dir, 2, start(2, 1), *losses(2, attempt=2))
    spool(spool_dir, 1, start(1, 0), *losses(1, 2, 3), torn="no json\n")
    batch = read_events(spool_dir, offsets={})
    found = points(batch.events, resumed=resumed_steps(batch.events))
    assert [(point.step, point.value) for point in found] == whole(1) + whole(2, attempt=2)
    assert read_events(spool_dir, offsets=batch.offsets).events == ()


def test_status_follows_the_run(runs: Path) -> None:
    plan(runs, A, B)
    run_dir = submitted(runs, A)
    exit_path = RunDir(run_dir).attempt(1) / "exit.json"
    write(exit_path, {"kind": "preempted", "message": "", "exit_code": 75, "time": T0})
    submitted(runs, B)
    ingest(runs, SUITE)
    assert {name: run.info.status for name, run in children(runs).items()} == {A: "KILLED", B: "RUNNING"}
    write(exit_path, {"kind": "data", "message": "rgb/7.png is truncated", "exit_code": 3, "time": T0})
    ingest(runs, SUITE)
    assert children(runs)[A].info.status == "FAILED"
    assert children(runs)[A].data.tags["message"] == "rgb/7.png is truncated"
    exit_path.unlink()
    ingest(runs, SUITE)
    assert children(runs)[A].info.status == "RUNNING"


def test_store_that_was_removed_is_filled_again(runs: Path, tmp_path: Path) -> None:
    plan(runs, A)
    spool(submitted(runs, A), 1, start(1, 0), *losses(1, 2))
    ingest(runs, SUITE)
    moved = tmp_path / "moved"  # to another path, with all that belongs to it
    shutil.copytree(runs, moved)
    assert ingest(moved, SUITE) == IngestReport()
    assert curve(moved, A) == whole(1, 2)
    # MLflow holds on to a database's connections, so it is the copy of the copy that loses its own.
    again = tmp_path / "again"
    shutil.copytree(runs, again)
    (again / "mlflow.db").unlink()
    assert ingest(again, SUITE).num_points == 2
    assert curve(again, A) == whole(1, 2)


def test_suite_that_was_never_run(tmp_path: Path) -> None:
    assert ingest(tmp_path, SUITE) == IngestReport()
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """Stands for SIGKILL: our code does not catch it, and SQLite forgets what was not committed either way."""


WRITES = ("log_batch", "create_run", "delete_run", "update_run", "create_experiment")


def kill_at(moment: int, *, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the ingestion after its `moment`-th call to MLflow, or right before it writes down what MLflow has."""
    from mlflow import MlflowClient

    left = [moment]

    def counted(function: Callable[..., Any], *, when: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                raise Killed
            answer = function(*args, **kwargs)
            if left[0] == 0:
                raise Killed
            return answer

        return wrapped

    for name in WRITES:
        monkeypatch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name), when="after"))
    monkeypatch.setattr("experiments.track.mirror.write_json", counted(write_json, when="before"))


def killed(runs: Path, moment: int) -> bool:
    """Ingest, to be killed at `moment`; say whether there was such a moment."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at(moment, monkeypatch=patch)
        try:
            ingest(runs, SUITE)
        except Killed:
            return True
    return False


def test_killed_ingester_loses_and_doubles_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.track.store.MAX_METRICS", 10)
    plan(runs, A)
    run_dir = submitted(runs, A)
    spool(run_dir, 1, start(1, 0), *losses(*range(1, 26)))
    # Every round finds what the last one left, and gets one thing further.
    moments = 1
    while killed(runs, moments):
        moments += 1
        assert moments < 40
    assert moments > 10
    assert curve(runs, A) == whole(*range(1, 26))
    steps, attempt = [(1, 25)], 1
    for moment in range(1, 8):
        last = steps[-1][1]
        spool(run_dir, attempt, *losses(*range(last + 1, last + 13), attempt=attempt))
        killed(runs, moment)
        # The job was killed too, and has gone back half of it.
        steps[-1] = (steps[-1][0], last + 6)
        attempt += 1
        submitted(runs, A)
        spool(run_dir, attempt, start(attempt, last + 6), *losses(*range(last + 7, last + 10), attempt=attempt))
        steps.append((last + 7, last + 9))
        killed(runs, moment)
        ingest(runs, SUITE)
        expected = [whole(*range(low, high + 1), attempt=number) for number, (low, high) in enumerate(steps, start=1)]
        assert curve(runs, A) == [point for part in expected for point in part]


def test_ingester_that_was_really_killed(runs: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, runs / "mlflow.db")
    plan(runs, A)
    spool(submitted(runs, A), 1, start(1, 0), *losses(*range(1, 1501)))
    code = f"""
        import os
        from pathlib import Path
        from mlflow import MlflowClient
        from experiments.track.ingest import ingest
        log_batch = MlflowClient.log_batch
        def once(*args, **kwargs):
            log_batch(*args, **kwargs)
            if len(kwargs.get("metrics", ())) == 1000:
                os.kill(os.getpid(), 9)
        MlflowClient.log_batch = once
        ingest(Path({str(runs)!r}), {SUITE!r})
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    ingest(runs, SUITE)
    assert curve(runs, A) == whole(*range(1, 1501))

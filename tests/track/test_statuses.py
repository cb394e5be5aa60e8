"""No run goes on for ever in MLflow once nothing works on it, and what goes on again is reopened."""

from pathlib import Path
from typing import Any

import pytest

from experiments.track.ingest import ingest, states_of
from multimae.record.attempt import newest_job
from multimae.record.files import read_json, write_json
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir
from multimae.record.state import RunState
from tests.track.test_tracking import SUITE, A, B, children, client, empty_database, finish, plan, runs, submitted

__all__ = ["empty_database", "runs"]
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
VANISHED = RunState(status="vanished", kind="vanished", attempt=1, message="its job ended without a word")
BLOCKED = RunState(status="blocked", attempt=1, message=f"needs {A} (vanished)")
FAILED = RunState(status="failed", kind="error", attempt=1, message="no luck")
PAUSED = RunState(status="paused", kind="paused", attempt=1)
FINISHED = RunState(status="finished", kind="finished", attempt=1)


def statuses(runs_dir: Path) -> dict[str, str]:
    """The status of the sweep, under its title, and of every run."""
    store = client(runs_dir)
    everything = store.search_runs([store.get_experiment_by_name(SUITE).experiment_id])
    return {run.info.run_name: run.info.status for run in everything}


@pytest.fixture
def two(runs: Path, empty_database: Path) -> Path:
    plan(runs, A, B)
    finish(submitted(runs, A))
    submitted(runs, B)
    (runs / SUITE / A / "result.json").unlink()
    return runs


@pytest.mark.parametrize(
    ("first", "second", "sweep"),
    [
        (VANISHED, BLOCKED, "FAILED"),
        (VANISHED, RunState(status="new"), "KILLED"),
        (VANISHED, VANISHED, "KILLED"),
        (FAILED, BLOCKED, "FAILED"),
        (RunState(status="preempted", kind="timeout", attempt=1), VANISHED, "KILLED"),
    ],
)
def test_nothing_runs_once_the_driver_is_over(two: Path, first: RunState, second: RunState, sweep: str) -> None:
    states: dict[str, Any] = {A: RunState(status="running", attempt=1), B: RunState(status="queued", attempt=1)}
    ingest(two, SUITE, states=states, driver="at work")
    assert statuses(two) == {"NYUv2": "RUNNING", A: "RUNNING", B: "SCHEDULED"}
    ingest(two, SUITE, states={A: first, B: second}, driver="over")
    ended = statuses(two)
    assert ended["NYUv2"] == sweep
    assert ended[A] in ("KILLED", "FAILED")
    assert second.attempt == 0 or ended[B] in ("KILLED", "FAILED")
    ingest(two, SUITE, states=states, driver="at work")
    assert statuses(two) == {"NYUv2": "RUNNING", A: "RUNNING", B: "SCHEDULED"}
    finish(two / SUITE / A)
    finish(two / SUITE / B)
    ingest(two, SUITE, states={A: FINISHED, B: FINISHED}, driver="over")
    assert set(statuses(two).values()) == {"FINISHED"}


def test_a_search_whose_other_trials_were_stopped_early_is_finished(two: Path) -> None:
    record = read_json(two / SUITE / "sweep.json")
    assert record is not None
    write_json(two / SUITE / "sweep.json", record | {"parent": "search"})
    finish(two / SUITE / A)
    ingest(two, SUITE, states={A: FINISHED, B: PAUSED}, driver="over")
    assert statuses(two) == {"NYUv2": "FINISHED", A: "FINISHED", B: "KILLED"}


def test_sync_knows_by_the_lock_whether_a_driver_is_at_work(two: Path) -> None:
    states = {A: VANISHED, B: VANISHED}
    with FileLock(SuiteDir(two / SUITE).lock) as lock:
        assert lock.try_take()
        ingest(two, SUITE, states=states)
        assert statuses(two)["NYUv2"] == "RUNNING"
    ingest(two, SUITE, states=states)
    assert statuses(two)["NYUv2"] == "KILLED"


def test_sync_asks_for_the_jobs_that_nobody_told_it_of(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multimae.record.job import JobState

    (two / SUITE / B / "attempts" / "1" / "started.json").unlink()
    job = newest_job(two / SUITE / B)
    assert job is not None
    monkeypatch.setattr("experiments.track.ingest.observe", lambda jobs, launcher: {job.job_id: JobState.ENDED})
    assert states_of(two / SUITE, keys=[B], known={})[B].status == "vanished"


@pytest.mark.parametrize(
    "name", ["p%20x", "q?mode=memory", "r[/v2]", "%j", "a#b", "-x y", "ä中", "x;y&z=1@h:5", "$HOME'\""]
)
def test_a_runs_folder_of_any_name_has_its_store(runs: Path, empty_database: Path, name: str) -> None:
    here = runs / name / "runs"
    here.mkdir(parents=True)
    plan(here, A)
    finish(submitted(here, A))
    before = {path for path in runs.rglob("*") if path.is_dir()}
    ingest(here, SUITE)
    assert (here / "mlflow.db").is_file()
    made = {path.relative_to(here).parts[0] for path in {*runs.rglob("*")} - before if path.is_dir()}
    assert made <= {".tracking", "mlartifacts"}
    assert children(here)[A].info.status == "FINISHED"

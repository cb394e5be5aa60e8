"""A search on a real Slurm cluster: preempted trials, killed and requeued drivers, and nothing left behind."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from multimae.record.attempt import attempts_of, newest_job
from multimae.record.job import JobState
from reports.read.search_trials import read_search
from slurm.squeue import queued_jobs
from tests.drive.test_sweep import spool, wait_for
from tests.made.real_slurm import NEEDED, real_cluster
from tests.made.tinydata import write_frames
from tests.searches.test_search import run

EPOCHS = 75  # long enough to be stopped on the way to the first rung
FIRST_RUNG = EPOCHS * 4 // 3
ON_SLURM = ("--executor", "slurm", "--set", f"recipe.epochs={EPOCHS}")

pytestmark = NEEDED


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with real_cluster(port=17700):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=12, num_test=2)


def live_jobs() -> list[str]:
    return [job.job_id for job in queued_jobs() or () if job.state is not JobState.ENDED]


def trials_of(runs: Path) -> list[Path]:
    return sorted(path.parent for path in (runs / "tried").glob("*/run.json"))


def starts(folder: Path) -> list[int]:
    """The step that each attempt of a run went on from."""
    return [spool(folder, attempt.number)[0]["resumed_from_step"] for attempt in attempts_of(folder)]


def tells(runs: Path) -> list[int]:
    """The trials whose end is in the journal, once for every time it was written."""
    ended = {state.value for state in TrialState if state.is_finished()}
    lines = [json.loads(line) for line in (runs / "tried" / "study.journal").read_text().splitlines()]
    return sorted(line["trial_id"] for line in lines if line["op_code"] == 6 and line.get("state") in ended)


def stop_with_a_checkpoint(folder: Path, *command: str) -> None:
    """Take a run's job from its node as soon as it has something to go on from."""
    wait_for((folder / "checkpoints" / "last.pth").exists)
    job = newest_job(folder)
    assert job is not None
    subprocess.run([*command, str(job.job_id)], check=True)


def test_preempted_trials_go_on_and_each_is_told_once(tmp_path: Path, data: Path) -> None:
    runs = tmp_path / "runs"
    options = (*ON_SLURM, "--trials", "3", "--parallel", "3")
    with run(data, runs, *options) as first:
        wait_for(lambda: len(list(runs.glob("tried/*/attempts/1/job.json"))) == 3)
        requeued, warned, cancelled = trials_of(runs)
        stop_with_a_checkpoint(requeued, "scontrol", "requeue")
        stop_with_a_checkpoint(warned, "scancel", "--batch", "--signal=USR2")
        stop_with_a_checkpoint(cancelled, "scancel")
        first.kill()
        first.communicate(timeout=60)
    # Nobody drives: Slurm starts the requeued trial again, and the warned one puts itself back into
    # the queue. Once both have paused at their rung they hold no node.
    wait_for(lambda: not live_jobs())
    endings = [json.loads(path.read_text())["kind"] for path in runs.glob("tried/*/attempts/*/exit.json")]
    assert sorted(endings) == [*["paused"] * 2, *["preempted"] * 3]
    with run(data, runs, *options) as second:
        said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    found = read_search(runs, "tried")
    states = [trial.state for trial in found.study.get_trials()]
    assert len(states) == 3
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert tells(runs) == [0, 1, 2]
    assert live_jobs() == []
    went_on = {folder.name: starts(folder) for folder in trials_of(runs)}
    assert all(first == 0 and all(later) for first, *later in went_on.values()), went_on
    assert sum(len(begun) > 1 and begun[1] < FIRST_RUNG for begun in went_on.values()) == 3
    # A promoted trial went on from its rung, in a job of its own.
    (whole,) = [trial for trial in found.trials if trial.state == "complete"]
    assert went_on[whole.run][-1] == FIRST_RUNG
    jobs = {json.loads(path.read_text())["job_id"] for path in runs.glob("tried/nyuv2*/attempts/*/job.json")}
    assert len(jobs) == 3 + 1 + 1


def test_a_detached_driver_is_there_once_and_outlives_its_time_limit(tmp_path: Path, data: Path) -> None:
    runs = tmp_path / "runs"
    options = (*ON_SLURM, "--trials", "1", "--pruner", "none", "--detach")
    nodes = ("scontrol", "update", "NodeName=n1,n2")
    subprocess.run([*nodes, "State=DRAIN", "Reason=busy"], check=True)
    code, said = ended(data, runs, *options)
    assert code == 0, said
    job = newest_job(runs / "tried" / "driver")
    assert job is not None
    assert f"job {job.job_id} drives the search" in said
    code, said = ended(data, runs, *options)
    assert code == 3
    assert f"job {job.job_id} drives the search already" in said
    assert [attempt.number for attempt in attempts_of(runs / "tried" / "driver")] == [1]
    subprocess.run([*nodes, "State=RESUME"], check=True)
    log = runs / "tried" / "driver" / "attempts" / "1" / "out.log"
    wait_for(lambda: list(runs.glob("tried/*/checkpoints/last.pth")))
    # As Slurm does before the time limit.
    subprocess.run(["scancel", "--batch", "--signal=USR2", str(job.job_id)], check=True)
    wait_for(lambda: log.read_text().count("search tried: 1 trials") == 2)
    wait_for(lambda: not live_jobs())
    assert re.search(r"1 trained to the end\. Report: ", log.read_text())
    assert [starts(folder) for folder in trials_of(runs)] == [[0]]
    assert tells(runs) == [0]


def test_a_driver_that_slurm_refuses_is_said_and_nothing_is_lost(tmp_path: Path, data: Path) -> None:
    (tmp_path / "clusters.toml").write_text('[here]\naccount = "nobody"\n')
    options = (*ON_SLURM, "--trials", "1", "--detach", "--cluster-file", str(tmp_path / "clusters.toml"))
    code, said = ended(data, tmp_path / "runs", *options)
    assert code == 3
    assert "Invalid account" in said
    assert "its study and its trials stay" in said
    assert "Traceback" not in said


def ended(data: Path, runs: Path, *options: str) -> tuple[int, str]:
    """Run a search's command to its end; return its exit code and what it said."""
    with run(data, runs, *options) as command:
        said, _ = command.communicate(timeout=300)
    return command.returncode, said

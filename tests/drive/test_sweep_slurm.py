"""The main job on a real Slurm cluster: submit, log out, come back."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drive.test_sweep import command, run_dirs, wait_for
from tests.made.real_slurm import NEEDED, real_cluster
from tests.made.tinydata import write_frames

pytestmark = NEEDED


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with real_cluster(port=17600):
        yield


def test_a_sweep_submitted_and_left_is_collected_later(tmp_path: Path) -> None:
    data, runs = write_frames(tmp_path / "data"), tmp_path / "runs"
    # "auto" finds the cluster by itself; the driver ends at once, all jobs are in Slurm's hands.
    left = subprocess.run(command(runs, data, "--detach"), capture_output=True, text=True, timeout=60)
    assert left.returncode == 0, left.stdout + left.stderr
    folders = run_dirs(runs)
    jobs = {task: json.loads((folder / "attempts" / "1" / "job.json").read_text()) for task, folder in folders.items()}
    assert {job["executor"] for job in jobs.values()} == {"slurm"}
    queue = subprocess.run(
        ["squeue", "--noheader", "--format=%i %E"], capture_output=True, text=True, check=True
    ).stdout
    pretraining = jobs["nyuv2-pretrain"]["job_id"]
    for task in ("nyuv2-semseg", "nyuv2-depth"):
        assert f"{jobs[task]['job_id']} afterok:{pretraining}" in queue
    wait_for(lambda: all((folder / "result.json").exists() for folder in folders.values()), seconds=240)
    assert not (runs / "brief" / "report").exists()
    back = subprocess.run(command(runs, data), capture_output=True, text=True, timeout=120)
    assert back.returncode == 0, back.stdout + back.stderr
    assert "nothing to start: 3 finished" in back.stdout
    assert (runs / "brief" / "report" / "index.html").exists()
    assert (runs / "mlflow.db").exists()


def test_jobs_come_back_by_themselves_with_the_driver_gone(tmp_path: Path) -> None:
    """Five interruptions of what two others wait for: all finish, with the numbers of an undisturbed sweep."""
    data = write_frames(tmp_path / "data")
    for name in ("disturbed", "undisturbed"):
        order = command(tmp_path / name, data, "--detach", "--set", "pretraining.epochs=60")
        left = subprocess.run(order, capture_output=True, text=True, timeout=60)
        assert left.returncode == 0, left.stdout + left.stderr
    pretraining = run_dirs(tmp_path / "disturbed")["nyuv2-pretrain"]
    job_id = json.loads((pretraining / "attempts" / "1" / "job.json").read_text())["job_id"]
    for number in range(1, 6):
        wait_for(lambda number=number: beats(pretraining, attempt=number), seconds=120)
        subprocess.run(["scancel", "--batch", "--signal=USR2", job_id], check=True)
    for name in ("disturbed", "undisturbed"):
        results = [folder / "result.json" for folder in run_dirs(tmp_path / name).values()]
        wait_for(lambda results=results: all(result.exists() for result in results), seconds=240)
    assert sorted(int(attempt.name) for attempt in (pretraining / "attempts").iterdir()) == [1, 2, 3, 4, 5, 6]
    assert numbers(tmp_path / "disturbed") == numbers(tmp_path / "undisturbed")


def beats(run_dir: Path, *, attempt: int) -> bool:
    """Say whether a start has taken a training step, so that an interruption finds it at work."""
    spool = run_dir / "spool" / f"{attempt}.jsonl"
    return spool.exists() and '"kind": "progress"' in spool.read_text()


def numbers(runs: Path) -> dict[str, list[dict[str, object]]]:
    results = {task: json.loads((folder / "result.json").read_text()) for task, folder in run_dirs(runs).items()}
    return {task: result["rows"] for task, result in results.items()}

"""The main job as a user runs it: real processes, real optimizer steps, a real MLflow store, a real report."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nyuv2 import SEMSEG
from experiments.plan.fingerprint import NAMES_ONLY, NEUTRAL
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]
BRIEF = ROOT / "tests" / "made" / "brief_suite.py"
SWEEP = [sys.executable, str(ROOT / "experiments" / "sweep.py")]
QUICK = ("--set", "recipe.input_size=64", "--set", "pretraining.input_size=64")
QUICK = (*QUICK, "--set", "pretraining.num_visible_tokens=12", "--set", "recipe.batch_size=4")


def command(runs: Path, data: Path, *options: str) -> list[str]:
    return [*SWEEP, "--suite", str(BRIEF), "--data-root", str(data), "--runs-dir", str(runs), *QUICK, *options]


def sweep(runs: Path, data: Path, *options: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(runs, data, "--executor", "local", *options), capture_output=True, text=True, timeout=timeout
    )


def run_dirs(runs: Path) -> dict[str, Path]:
    """The current plan's run directories by task."""
    keys = json.loads((runs / "brief" / "sweep.json").read_text())["keys"]
    return {json.loads((runs / "brief" / key / "run.json").read_text())["task"]: runs / "brief" / key for key in keys}


def spool(run_dir: Path, attempt: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "spool" / f"{attempt}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A runs folder with one whole sweep in it."""
    runs = tmp_path_factory.mktemp("finished") / "runs"
    done = sweep(runs, data)
    assert done.returncode == 0, done.stdout + done.stderr
    return runs


def test_a_sweep_ends_with_results_and_a_report(finished: Path) -> None:
    for task, run_dir in run_dirs(finished).items():
        result = json.loads((run_dir / "result.json").read_text())
        protocols = {row["protocol"] for row in result["rows"]}
        assert protocols == ({"masked"} if task == "nyuv2-pretrain" else {"standard", "paper"})
        assert {row["metric"] for row in result["rows"]} == {row["metric"] for row in result["baselines"]}
        assert result["attempts"] == 1
        assert len(result["predictions"]) == 3
        for entry in result["predictions"]:
            assert all((run_dir / path).is_file() for path in entry["images"].values())
    report = finished / "brief" / "report"
    assert {"index.html", "table.md", "table.tex", "table.csv", "results.parquet"} <= {p.name for p in report.iterdir()}
    pretraining = run_dirs(finished)["nyuv2-pretrain"]
    assert (pretraining / "artifacts" / "reconstruction" / "index.json").is_file()
    assert (report / f"reconstruction-{pretraining.name}.html").is_file()


def test_the_transfer_starts_from_the_pretraining(finished: Path) -> None:
    folders = run_dirs(finished)
    pretraining = folders["nyuv2-pretrain"].name
    for task in ("nyuv2-semseg", "nyuv2-depth"):
        assert f"../{pretraining}/checkpoints/last.pth" in (folders[task] / "config.py").read_text()
        assert "loaded" in (folders[task] / "attempts" / "1" / "out.log").read_text()


def test_the_learning_rate_follows_the_recipe_step_by_step(finished: Path) -> None:
    run_dir = run_dirs(finished)["nyuv2-semseg"]
    recorded = [event for event in spool(run_dir, 1) if event["kind"] == "metrics" and "train/lr" in event["values"]]
    steps = recorded[-1]["step"]
    assert [event["step"] for event in recorded] == list(range(1, steps + 1))
    base = SEMSEG.recipes["cpu"].lr
    expected = [base * 0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    assert [event["values"]["train/lr"] for event in recorded] == pytest.approx(expected)


def test_the_same_command_again_starts_nothing_and_loads_no_torch(finished: Path, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    again = subprocess.run(
        [sys.executable, "-X", "importtime", *command(finished, data, "--executor", "local")[1:]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert again.returncode == 0
    assert "nothing to start: 3 finished" in again.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in again.stderr.splitlines() if line.startswith("import time")}
    assert "experiments.drive.sweeping" in imported
    assert not imported & {"torch", "mmengine", "mlflow", "pandas", "matplotlib"}
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {".tracking.lock"}


def test_a_dry_run_prints_the_plan_as_json_and_loads_no_torch(tmp_path: Path, data: Path) -> None:
    planned = subprocess.run(
        [sys.executable, "-X", "importtime", *command(tmp_path / "runs", data, "--dry-run", "--json", "--why")[1:]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    plan = json.loads(planned.stdout)
    assert [entry["task"] for entry in plan] == ["nyuv2-pretrain", "nyuv2-semseg", "nyuv2-depth"]
    assert {entry["now"] for entry in plan} == {"new"}
    assert plan[0]["why"] == ["no run of this name yet"]
    imported = {line.rsplit("|", 1)[-1].strip() for line in planned.stderr.splitlines()}
    assert "experiments.plan.planning" in imported
    assert not imported & {"torch", "mmengine", "submitit", "mlflow", "pandas"}
    assert not (tmp_path / "runs").exists()


def test_a_digest_lists_every_module_its_job_loads(finished: Path) -> None:
    for run_dir in run_dirs(finished).values():
        described = json.loads((run_dir / "run.json").read_text())
        listed = {*described["digest"]["code"], *described["scoring"], *NAMES_ONLY}
        code = (
            "import sys; from mmengine.config import Config; import multimae.train, multimae.engine.job; "
            f"Config.fromfile({str(run_dir / 'config.py')!r}); "
            "print(*[name for name in sys.modules if name.split('.')[0] == 'multimae'])"
        )
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        neutral = tuple(f"{room}." for room in NEUTRAL)
        assert {name for name in loaded.stdout.split() if not f"{name}.".startswith(neutral)} <= listed


def test_mlflow_holds_the_sweep_and_its_runs(finished: Path, data: Path) -> None:
    code = (
        "import mlflow, sys; client = mlflow.MlflowClient(sys.argv[1]);"
        "experiment = client.get_experiment_by_name('brief');"
        "runs = client.search_runs([experiment.experiment_id]);"
        "print(*sorted(run.info.status + ' ' + str('mlflow.parentRunId' in run.data.tags) for run in runs), sep='\\n')"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{finished / 'mlflow.db'}"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split("\n")[:-1] == ["FINISHED False", "FINISHED True", "FINISHED True", "FINISHED True"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--suite", "nyuv3"], 2, "did you mean nyuv2"),
        (["--set", "recipe.lrr=1"], 2, "did you mean lr"),
        (["--size", "tinny"], 2, "did you mean tiny"),
        (["--data-root", "/"], 3, "nyu_depth_v2_labeled.mat"),
        (["--cluster-file", "/nowhere/clusters.toml"], 2, "/nowhere/clusters.toml"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_at_once(
    tmp_path: Path, data: Path, options: list[str], code: int, said: str
) -> None:
    refused = sweep(tmp_path / "runs", data, *options)
    assert refused.returncode == code
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_truncated_image_fails_its_runs_by_name_and_no_others(tmp_path: Path) -> None:
    data = write_frames(tmp_path / "data")
    suite = tmp_path / "broken.py"
    suite.write_text(
        "from dataclasses import replace\n"
        "from tests.made.brief_suite import SUITE as BRIEF\n"
        "SUITE = replace(BRIEF, checkpoints=('scratch',))\n"
    )
    broken = data / "nyuv2" / "train" / "semseg" / "all" / "0003.png"
    broken.write_bytes(broken.read_bytes()[:200])
    runs = tmp_path / "runs"
    done = sweep(runs, data, "--suite", str(suite))
    assert done.returncode == 1, done.stdout + done.stderr
    folders = run_dirs(runs)
    assert set(folders) == {"nyuv2-semseg", "nyuv2-depth"}
    ending = json.loads((folders["nyuv2-semseg"] / "attempts" / "1" / "exit.json").read_text())
    assert ending["kind"] == "data"
    assert str(broken) in ending["message"]
    assert "0003.png" in done.stdout
    assert (folders["nyuv2-depth"] / "result.json").exists()


@pytest.fixture
def killed() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_killed_job_and_a_killed_driver_lose_nothing_finished(tmp_path: Path, data: Path, killed: list[int]) -> None:
    runs = tmp_path / "runs"
    long = ("--set", "pretraining.epochs=100")
    driver = subprocess.Popen(
        command(runs, data, "--executor", "local", *long), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    killed.append(driver.pid)
    checkpoint = wait_for(lambda: next(iter(runs.glob("brief/*pretrain-scratch*/checkpoints/last.pth")), None))
    run_dir = checkpoint.parents[1]
    driver.kill()
    driver.wait()
    job = json.loads((run_dir / "attempts" / "1" / "started.json").read_text())["pid"]
    os.kill(job, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{job}").exists() or "Z" in Path(f"/proc/{job}/stat").read_text().split()[2])
    done = sweep(runs, data, *long)
    assert done.returncode == 0, done.stdout + done.stderr
    start = spool(run_dir, 2)[0]
    assert start["kind"] == "start"
    assert 0 < start["resumed_from_step"] < start["max_steps"]
    result = json.loads((run_dir / "result.json").read_text())
    assert result["attempts"] == 2


def test_ctrl_c_detaches_and_the_same_command_follows_and_collects(tmp_path: Path, data: Path) -> None:
    runs = tmp_path / "runs"
    driver = subprocess.Popen(
        command(runs, data, "--executor", "local"), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: next(iter(runs.glob("brief/*/attempts/1/started.json")), None))
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to the driver and all its children
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "goes on" in said
    back = sweep(runs, data)
    assert back.returncode == 0, back.stdout + back.stderr
    assert all((folder / "result.json").exists() for folder in run_dirs(runs).values())
    assert {len(list((folder / "attempts").iterdir())) for folder in run_dirs(runs).values()} == {1}


def wait_for(look: Any, *, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")

"""One training by two ranks on the CPU: real processes, gloo, the same words and files as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from multimae.engine.ranks import Ranks
from multimae.engine.signals import StopRequest
from multimae.record.attempt import Attempt
from multimae.train import _run_ranks
from tests.made.rank_runs import checkpoint, ending, prepared, start, train


@pytest.mark.parametrize("task", ["nyuv2-semseg", "nyuv2-depth", "nyuv2-pretrain"])
def test_two_ranks_finish_a_run_with_one_result(tmp_path: Path, task: str) -> None:
    run_dir = prepared(tmp_path, task=task)
    done = train(run_dir, devices=2)
    assert done.returncode == 0, done.stdout
    assert ending(run_dir)["kind"] == "finished"
    result = json.loads((run_dir / "result.json").read_text())
    assert {row["n"] for row in result["rows"]} == {3}  # three test images, none counted twice
    assert len(list((run_dir / "spool").iterdir())) == 1
    assert len(checkpoint(run_dir)["random"]) == 2


def test_two_ranks_take_the_steps_of_one(tmp_path: Path) -> None:
    # Without random crops, flips and dropped paths a step depends on its samples alone: half of a batch on each rank.
    plain = {"hflip_prob": 0.0, "drop_path_rate": 0.0, "scale_min": 1.0, "scale_max": 1.0, "epochs": 2}
    states = []
    for devices in (1, 2):
        run_dir = prepared(tmp_path, name=f"on{devices}", **plain)
        done = train(run_dir, devices=devices)
        assert done.returncode == 0, done.stdout
        states.append(checkpoint(run_dir)["model"])
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, rtol=1e-3, atol=1e-4, msg=name)


def test_a_signal_to_the_job_stops_all_ranks_at_one_step_and_they_go_on(tmp_path: Path) -> None:
    whole = prepared(tmp_path, name="whole", epochs=40)
    assert train(whole, devices=2).returncode == 0
    run_dir = prepared(tmp_path, name="stopped", epochs=40)
    process = start(run_dir, devices=2)
    deadline = time.monotonic() + 120
    while not (run_dir / "checkpoints" / "last.pth").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR2)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert ending(run_dir)["kind"] == "preempted"
    assert checkpoint(run_dir)["step"] < 80
    done = train(run_dir, devices=2, attempt=2)
    assert done.returncode == 0, done.stdout
    for name, weight in checkpoint(whole)["model"].items():
        torch.testing.assert_close(checkpoint(run_dir)["model"][name], weight, rtol=0, atol=0, msg=name)


def test_two_ranks_pause_at_a_rung_together(tmp_path: Path) -> None:
    run_dir = prepared(tmp_path)
    config = run_dir / "config.py"
    config.write_text(config.read_text().replace("'kind': 'semseg',", "'kind': 'semseg', 'rungs': [3],"))
    (run_dir / "until.json").write_text('{"step": 3}')
    done = train(run_dir, devices=2)
    assert done.returncode == 0, done.stdout
    assert ending(run_dir)["kind"] == "paused"
    assert checkpoint(run_dir)["step"] == 3
    (run_dir / "until.json").write_text('{"step": 100}')
    assert train(run_dir, devices=2, attempt=2).returncode == 0
    assert ending(run_dir, attempt=2)["kind"] == "finished"


def test_a_batch_that_cannot_be_shared_is_refused_at_once(tmp_path: Path) -> None:
    run_dir = prepared(tmp_path, batch_size=3)
    done = train(run_dir, devices=2)
    assert done.returncode == 2, done.stdout
    assert ending(run_dir)["kind"] == "config"
    assert "3 samples cannot be shared evenly among 2 devices" in ending(run_dir)["message"]


def test_a_rank_that_dies_ends_the_others_and_is_named(tmp_path: Path) -> None:
    run_dir = prepared(tmp_path, epochs=400)
    process = start(run_dir, devices=2)
    deadline = time.monotonic() + 120
    while not (run_dir / "checkpoints" / "last.pth").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(max(map(int, children.stdout.split())), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said
    assert ending(run_dir)["kind"] in ("error", "preempted")


def test_a_rank_leaves_with_its_code_and_without_ending_the_interpreter() -> None:
    script = (
        "import atexit; from multimae.engine.ranks import leave; atexit.register(print, 1); print('said'); leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (3, "said\n")


def test_the_jobs_exit_code_is_what_exit_json_names_whatever_a_rank_did_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "__init__", lambda self, command, *, num_devices: None)
    monkeypatch.setattr(Ranks, "wait", lambda self: -signal.SIGABRT)
    monkeypatch.setattr(StopRequest, "listen", lambda self, *, tell=None: None)  # not in the process of the tests
    ended, silent = (Attempt(run_dir=tmp_path / name, number=1) for name in ("ended", "silent"))
    for attempt in (ended, silent):
        attempt.start()
    ended.end(kind="finished", message="")
    assert _run_ranks(ended, stop=StopRequest(), num_devices=2) == 0
    assert _run_ranks(silent, stop=StopRequest(), num_devices=2) == 1
    assert ending(silent.run_dir)["message"] == "a rank ended with exit code -6"

"""Stopping at a rung and going on from it: the same training, to the last bit, as one that never stopped."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.drive.decide import decide
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import expand
from multimae.engine.failures import PausedError, kind_of
from multimae.engine.job import execute
from multimae.engine.rungs import read_until
from multimae.engine.signals import StopRequest
from multimae.record.attempt import Attempt
from multimae.record.endings import Exit
from multimae.record.state import run_state
from tests.made.brief_suite import SUITE as BRIEF
from tests.made.tinydata import write_frames

RUNGS = (2, 6)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trial(tmp_path: Path) -> PlannedRun:
    """A transfer of twelve steps that is judged on held-out images at two rungs and at the end."""
    root = write_frames(tmp_path / "data", num_train=8, num_test=2) / "nyuv2"
    data = Data(name="nyuv2", root=root, fingerprint="0", num_train=8, num_test=2)
    short = {"input_size": 64, "batch_size": 2, "epochs": 4, "val_ratio": 0.3}
    recipes = {one.task.name: replace(one.task.recipes["cpu"], **short) for one in BRIEF.transfers}  # type: ignore[arg-type]
    (run, *_) = expand(
        replace(BRIEF, checkpoints=("scratch",)),
        recipes=recipes,
        profile="cpu",
        size="tiny",
        seeds=(0,),
        checkpoints=("scratch",),
    )
    (planned,) = make_plan([replace(run, judged_on="val", rungs=RUNGS)], data={"nyuv2": data})
    return planned


def start(run_dir: Path, *, number: int) -> Attempt:
    attempt = Attempt(run_dir=run_dir, number=number)
    attempt.start()
    return attempt


def let_go(run_dir: Path, *, until: int) -> None:
    (run_dir / "until.json").write_text(json.dumps({"step": until}))


def rows(run_dir: Path) -> Any:
    return json.loads((run_dir / "result.json").read_text())["rows"]


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run_dir / "checkpoints" / "last.pth", weights_only=True)["model"]
    return state


def validated(run_dir: Path) -> dict[int, float]:
    found = {}
    for spool in sorted((run_dir / "spool").glob("*.jsonl")):
        for line in spool.read_text().splitlines():
            event = json.loads(line)
            if event["kind"] == "metrics" and "val/miou" in event["values"]:
                found[event["step"]] = event["values"]["val/miou"]
    return found


def test_a_trial_that_pauses_twice_equals_one_that_never_does(tmp_path: Path) -> None:
    planned = trial(tmp_path)
    whole = prepare(planned, suite_dir=tmp_path / "whole")
    execute(start(whole, number=1), stop=StopRequest())  # no until.json: nobody limits it
    paused = prepare(planned, suite_dir=tmp_path / "paused")
    for number, rung in enumerate(RUNGS, start=1):
        let_go(paused, until=rung)
        with pytest.raises(PausedError, match=f"step {rung}"):
            execute(start(paused, number=number), stop=StopRequest())
        assert torch.load(paused / "checkpoints" / "last.pth", weights_only=True)["step"] == rung
        assert not (paused / "result.json").exists()
    let_go(paused, until=1000)
    execute(start(paused, number=3), stop=StopRequest())
    assert rows(paused) == rows(whole)
    assert {row["split"] for row in rows(whole)} == {"val"}
    torch.testing.assert_close(weights(paused), weights(whole), rtol=0, atol=0)
    scores = validated(paused)
    assert scores == validated(whole)
    assert set(RUNGS) < set(scores)


def test_a_paused_trial_started_without_leave_trains_no_step(tmp_path: Path) -> None:
    run_dir = prepare(trial(tmp_path), suite_dir=tmp_path)
    let_go(run_dir, until=2)
    for number in (1, 2):
        with pytest.raises(PausedError):
            execute(start(run_dir, number=number), stop=StopRequest())
    assert torch.load(run_dir / "checkpoints" / "last.pth", weights_only=True)["step"] == 2


def test_leave_given_before_the_rung_is_not_asked_for_again(tmp_path: Path) -> None:
    run_dir = prepare(trial(tmp_path), suite_dir=tmp_path)
    let_go(run_dir, until=6)
    with pytest.raises(PausedError, match="step 6"):
        execute(start(run_dir, number=1), stop=StopRequest())


def test_pausing_is_neither_a_failure_nor_an_end(tmp_path: Path) -> None:
    assert kind_of(PausedError(2)) == "paused"
    assert Exit.of("paused", message="", time=0.0).exit_code == 0
    attempt = start(tmp_path, number=1)
    attempt.end(kind="paused", message="waits")
    state = run_state(tmp_path, now=0.0)
    assert state.status == "paused"
    assert not decide(state, submissions=0).submit


def test_without_a_word_there_is_no_limit(tmp_path: Path) -> None:
    assert read_until(tmp_path) is None
    let_go(tmp_path, until=7)
    assert read_until(tmp_path) == 7

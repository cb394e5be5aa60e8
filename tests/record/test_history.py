"""Curves that forget what a resume trained again."""

import json
import math
from pathlib import Path
from typing import Any

from multimae.record.events import read_history
from multimae.record.paths import RunDir


def write_spool(run_dir: Path, number: int, *events: dict[str, Any], torn: str = "") -> None:
    path = RunDir(run_dir).spool(number)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + torn)


def losses(steps: range, *, value: float, time: float) -> list[dict[str, Any]]:
    return [{"kind": "metrics", "time": time + at, "step": at, "values": {"train/loss": value}} for at in steps]


def test_a_resume_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    start = {"kind": "start", "time": 100.0, "resumed_from_step": 0, "max_steps": 8}
    write_spool(tmp_path, 1, start, *losses(range(1, 6), value=1.0, time=100), torn='{"kind": "metr')
    write_spool(tmp_path, 2, start | {"time": 200.0, "resumed_from_step": 3}, *losses(range(4, 9), value=2.0, time=200))
    record = read_history(tmp_path)
    assert record.curves["train/loss"].steps == tuple(range(1, 9))
    assert record.curves["train/loss"].values == (1.0,) * 3 + (2.0,) * 5
    assert (record.step, record.max_steps, record.seconds, record.last_time) == (8, 8, 13.0, 208.0)


def test_steps_not_trained_again_yet_are_gone_too(tmp_path: Path) -> None:
    start = {"kind": "start", "time": 0.0, "resumed_from_step": 0, "max_steps": 8}
    write_spool(tmp_path, 1, start, *losses(range(1, 6), value=1.0, time=0))
    write_spool(tmp_path, 2, start | {"resumed_from_step": 3})
    assert read_history(tmp_path).curves["train/loss"].steps == (1, 2, 3)
    assert read_history(tmp_path).step == 3


def test_null_is_a_loss_that_was_no_number(tmp_path: Path) -> None:
    write_spool(tmp_path, 1, {"kind": "metrics", "time": 1.0, "step": 1, "values": {"train/loss": None}})
    assert math.isnan(read_history(tmp_path).curves["train/loss"].values[0])

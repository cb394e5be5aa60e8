"""Where a run stands, from its files; and curves that forget what a resume trained again."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from reports.read.spool import read_record
from reports.read.status import Attempt, Status, own_status, read_attempts, with_dependencies

NOW = 10_000.0


def attempt(number: int = 1, *, started: float | None = None, kind: str = "", message: str = "") -> Attempt:
    return Attempt(number=number, started=started, ending={"kind": kind, "message": message} if kind else None)


@pytest.mark.parametrize(
    ("attempts", "text"),
    [
        ((), "queued"),
        ((attempt(),), "queued"),
        ((attempt(started=NOW - 10),), "running"),
        ((attempt(started=NOW - 1000),), "stopped: vanished"),
        ((attempt(started=1.0, kind="preempted"),), "stopped: preempted"),
        ((attempt(started=1.0, kind="data"),), "failed: data"),
        ((attempt(started=1.0, kind="nan"),), "diverged"),
        ((attempt(started=1.0, kind="finished"),), "failed: error"),
        ((attempt(started=1.0, kind="data"), attempt(2)), "queued"),
        ((attempt(started=1.0, kind="error"), attempt(2, started=NOW - 5)), "running"),
        ((attempt(started=1.0, kind="data"), attempt(2, started=2.0, kind="superseded")), "failed: data"),
    ],
)
def test_status_comes_from_the_last_attempt_that_owns_the_run(attempts: tuple[Attempt, ...], text: str) -> None:
    assert own_status(result=None, attempts=attempts, last_sign=None, now=NOW).text == text


def test_a_heartbeat_keeps_a_long_run_alive() -> None:
    status = own_status(result=None, attempts=(attempt(started=1.0),), last_sign=NOW - 20, now=NOW)
    assert status.state == "running"


def test_a_result_ends_all_doubt() -> None:
    rows: list[dict[str, Any]] = [{"metric": "miou", "value": None, "diverged": True}]
    finished = own_status(result={"rows": [{"metric": "miou", "value": 1.0}]}, attempts=(), last_sign=None, now=NOW)
    diverged = own_status(result={"rows": rows}, attempts=(), last_sign=None, now=NOW)
    assert (finished.text, diverged.text) == ("finished", "diverged")


def test_only_what_cannot_go_on_blocks_and_blocking_spreads() -> None:
    own = {
        "first": Status(state="failed", kind="data"),
        "second": Status(state="queued"),
        "third": Status(state="queued"),
        "running": Status(state="running"),
        "waiting": Status(state="queued"),
    }
    needs = {"first": (), "second": ("first",), "third": ("second",), "running": (), "waiting": ("running",)}
    found = with_dependencies(own, depends_on=needs)
    assert [found[key].state for key in own] == ["failed", "blocked", "blocked", "running", "queued"]
    assert found["second"].message == "needs first (failed: data)"


def test_every_failure_says_what_to_do() -> None:
    for kind in ("data", "nan", "gpu_oom", "host_oom", "disk_full", "config", "error", "never heard of"):
        assert Status(state="failed", kind=kind).advice


def test_attempts_are_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        (tmp_path / "attempts" / str(number)).mkdir(parents=True)
    assert [found.number for found in read_attempts(tmp_path)] == [1, 2, 10]


def write_spool(run_dir: Path, number: int, *events: dict[str, Any], torn: str = "") -> None:
    path = run_dir / "spool" / f"{number}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + torn)


def losses(steps: range, *, value: float, time: float) -> list[dict[str, Any]]:
    return [{"kind": "metrics", "time": time + at, "step": at, "values": {"train/loss": value}} for at in steps]


def test_a_resume_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    start = {"kind": "start", "time": 100.0, "resumed_from_step": 0, "max_steps": 8}
    write_spool(tmp_path, 1, start, *losses(range(1, 6), value=1.0, time=100), torn='{"kind": "metr')
    write_spool(tmp_path, 2, start | {"time": 200.0, "resumed_from_step": 3}, *losses(range(4, 9), value=2.0, time=200))
    record = read_record(tmp_path)
    assert record.curves["train/loss"].steps == tuple(range(1, 9))
    assert record.curves["train/loss"].values == (1.0,) * 3 + (2.0,) * 5
    assert (record.step, record.max_steps, record.seconds, record.last_time) == (8, 8, 13.0, 208.0)


def test_steps_not_trained_again_yet_are_gone_too(tmp_path: Path) -> None:
    start = {"kind": "start", "time": 0.0, "resumed_from_step": 0, "max_steps": 8}
    write_spool(tmp_path, 1, start, *losses(range(1, 6), value=1.0, time=0))
    write_spool(tmp_path, 2, start | {"resumed_from_step": 3})
    assert read_record(tmp_path).curves["train/loss"].steps == (1, 2, 3)
    assert read_record(tmp_path).step == 3


def test_null_is_a_loss_that_was_no_number(tmp_path: Path) -> None:
    write_spool(tmp_path, 1, {"kind": "metrics", "time": 1.0, "step": 1, "values": {"train/loss": None}})
    assert math.isnan(read_record(tmp_path).curves["train/loss"].values[0])

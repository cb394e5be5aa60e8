"""The end of a sweep: the report comes first, whatever MLflow does, and what cannot be written is a line."""

import io
import os
import time
from pathlib import Path

import pytest

from experiments.drive.concluding import report_is_written
from experiments.drive.sweeping import conclude
from experiments.drive.tracker import Tracker
from experiments.plan.errors import PreconditionError
from multimae.console import plain_console
from multimae.record.state import run_state
from tests.made.fake_suite import FakeSuite


def test_the_report_is_there_although_the_store_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    suite = FakeSuite(tmp_path)
    run = suite.add(task="nyuv2-depth", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    console = plain_console(width=200)
    console.file = said = io.StringIO()
    states = {run.name: run_state(run, now=time.time())}
    began = time.monotonic()
    assert conclude(states, tracker=Tracker(tmp_path / suite.suite, hear=print), console=console) == 0
    assert time.monotonic() - began < 60
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("1 finished. Report: ")
    assert lines[-1].startswith("tracking: http://127.0.0.1:9: ")
    assert "Connection refused" in lines[-1]
    assert "`multimae track sync` catches up" in lines[-1]
    assert (tmp_path / suite.suite / "report" / "index.html").is_file()


def test_a_report_that_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    refused = pytest.raises(PreconditionError, match=r"report could not be written: .*: No space left on device")
    with refused, report_is_written(tmp_path):
        raise OSError(28, os.strerror(28))

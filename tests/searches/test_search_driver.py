"""One driver to a search: the others give up, but for a job that Slurm has started again."""

import threading
from pathlib import Path

import pytest
from rich.console import Console

from experiments.searches.leaving import take_lock
from multimae.record.locks import FileLock


def test_a_job_started_again_waits_for_its_earlier_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".lock"
    with FileLock(path) as earlier, FileLock(path) as later:
        assert earlier.try_take()
        assert not take_lock(later, console=Console())
        assert capsys.readouterr().out == ""
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        threading.Timer(0.3, earlier.close).start()
        assert take_lock(later, console=Console())
        assert capsys.readouterr().out == "waits for the process that this job ran before\n"

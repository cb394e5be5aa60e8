"""One driver to a search: the others give up, but for a job that Slurm has started again."""

import threading
from pathlib import Path

import pytest
from rich.console import Console

from experiments.drive.driving import driver_lock, try_lock
from experiments.searches.driver import _lock


def test_a_job_started_again_waits_for_its_earlier_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with driver_lock(tmp_path) as earlier, driver_lock(tmp_path) as later:
        assert try_lock(earlier)
        assert not _lock(later, console=Console())
        assert capsys.readouterr().out == ""
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        threading.Timer(0.3, earlier.close).start()
        assert _lock(later, console=Console())
        assert capsys.readouterr().out == "waits for the process that this job ran before\n"

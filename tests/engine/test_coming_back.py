"""A job that was asked to stop puts itself back into its queue, unless that would go on for ever."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from multimae.engine.coming_back import come_back
from multimae.engine.signals import StopRequest
from multimae.record.attempt import new_attempt
from multimae.record.progress import MOST_FUTILE


def environ(file: Path) -> dict[str, str]:
    return {**os.environ, "MULTIMAE_COMES_BACK": f"touch '{file}'"}


def test_the_launcher_s_command_is_run(tmp_path: Path) -> None:
    come_back(new_attempt(tmp_path / "run"), environ=environ(tmp_path / "it is back"))
    assert (tmp_path / "it is back").exists()


def test_nothing_happens_without_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    come_back(new_attempt(tmp_path / "run"), environ={})
    assert capsys.readouterr() == ("", "")


def test_starts_that_take_the_run_no_further_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempts = [new_attempt(tmp_path / "run") for _ in range(MOST_FUTILE + 1)]
    come_back(attempts[-1], environ=environ(tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert "got no further" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["false", "no-such-command"])
def test_a_site_that_refuses_is_no_failure_of_the_job(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    come_back(new_attempt(tmp_path / "run"), environ={**os.environ, "MULTIMAE_COMES_BACK": command})
    assert "cannot come back by itself" in capsys.readouterr().err


def test_only_the_signal_before_a_limit_wants_the_job_back() -> None:
    for number, back in ((signal.SIGUSR2, True), (signal.SIGTERM, False), (signal.SIGINT, False)):
        stop = StopRequest()
        stop._remember(number, None)
        assert stop.wants_back is back


@pytest.mark.parametrize(("last", "survives"), [("stop.listen_no_more()", True), ("", False)])
def test_a_signal_while_python_ends_is_no_failure(last: str, survives: bool) -> None:
    code = f"""
import ctypes
from multimae.engine.signals import StopRequest
ctypes.pythonapi.Py_AtExit(ctypes.CDLL(None).pause)  # the very last thing, once Python has taken its handlers down
stop = StopRequest()
stop.listen()
{last}
print("the end", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        asleep = psutil.Process(process.pid)
        wait_until(lambda: not catches(process.pid, signal.SIGUSR2) and asleep.status() == psutil.STATUS_SLEEPING)
        process.send_signal(signal.SIGUSR2)
        if survives:
            time.sleep(0.2)
            assert process.poll() is None
            process.kill()
        else:
            assert process.wait(10) == -signal.SIGUSR2


def catches(process_id: int, number: int) -> bool:
    """Say whether a process has a handler for a signal."""
    status = Path(f"/proc/{process_id}/status").read_text()
    mask = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(mask >> (number - 1) & 1)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

"""Drivers that are left, killed or asked to wait: real processes on real terminals, whose jobs train nothing."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multimae.record.locks import FileLock
from tests.made.checkout import make_checkout, sweep_in
from tests.made.tinydata import write_frames

ENVIRONMENT = {**os.environ, "PYTHONPATH": "", "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=8, num_test=2)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout of one's own; at the end all of its jobs and drivers are told to end, and have."""
    folder = make_checkout(tmp_path / "checkout")
    yield folder
    suite_dir = folder / "runs" / "brief"
    if suite_dir.is_dir():
        (suite_dir / "go").touch()
        wait_for(lambda: driver_has_ended(suite_dir))


def wait_for(look: Callable[[], Any], *, seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def driver_has_ended(suite_dir: Path) -> bool:
    with FileLock(suite_dir / ".driver.lock") as lock:
        return lock.try_take()


def started(checkout: Path) -> Path | None:
    return next((checkout / "runs").glob("brief/*/attempts/1/started.json"), None)


def finished(checkout: Path) -> list[Path]:
    return list((checkout / "runs" / "brief").glob("*/result.json"))


def log(checkout: Path) -> str:
    path = checkout / "runs" / "brief" / "driver.log"
    return path.read_text() if path.exists() else ""


def start(checkout: Path, data: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        sweep_in(checkout, data, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, ENVIRONMENT)
        self.shown = b""

    def read(self) -> None:
        """Take what is shown until the command has ended."""
        while True:
            try:
                got = os.read(self.master, 65536)
            except OSError:  # nothing has the other side open any more
                return
            if not got:
                return
            self.shown += got

    def wait_for_table(self) -> None:
        while b"pretrain" not in self.shown or HIDE_CURSOR not in self.shown:
            self.shown += os.read(self.master, 65536)

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_what_goes_on_in_the_background_has_the_plan_and_the_code_of_the_command(checkout: Path, data: Path) -> None:
    driver = start(checkout, data)
    wait_for(lambda: started(checkout))
    # Code that names runs, the suite, the front door and what is imported at the very end: changed or half-written.
    layers = checkout / "multimae" / "layers.py"
    layers.write_text(layers.read_text() + "\nCHANGED = True\n")
    for name in ("mine.py", "experiments/sweep.py", "experiments/drive/sweeping.py", "reports/make.py"):
        (checkout / name).write_text("def half(")
    os.killpg(driver.pid, signal.SIGINT)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "goes on and writes" in said
    (checkout / "runs" / "brief" / "go").touch()
    wait_for(lambda: "3 finished" in log(checkout))
    assert len(list((checkout / "runs" / "brief").glob("*/run.json"))) == 3
    assert (checkout / "runs" / "brief" / "report" / "index.html").read_text() == "as it was"
    wait_for(lambda: not list((checkout / "runs" / "brief" / "carried").iterdir()))


def test_a_driver_in_the_foreground_ends_with_the_code_it_began_with(checkout: Path, data: Path) -> None:
    driver = start(checkout, data)
    wait_for(lambda: started(checkout))
    (checkout / "reports" / "make.py").write_text("def half(")
    (checkout / "runs" / "brief" / "go").touch()
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert (checkout / "runs" / "brief" / "report" / "index.html").read_text() == "as it was"


def test_a_second_plan_waits_says_for_whom_and_is_driven_then(checkout: Path, data: Path) -> None:
    first = start(checkout, data)
    wait_for(lambda: started(checkout))
    second = start(checkout, data, "--seeds", "7")
    assert second.stdout is not None
    words = second.stdout.readline()
    assert f"process {first.pid} on " in words
    assert "this one waits, then drives its own plan" in words
    (checkout / "runs" / "brief" / "go").touch()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "3 finished" in said
    assert len(finished(checkout)) == 5  # the pre-training is of both plans
    keys = json.loads((checkout / "runs" / "brief" / "sweep.json").read_text())["keys"]
    assert sum("-s7-" in key for key in keys) == 2


def test_the_same_plan_follows_and_ends_as_the_first_does(checkout: Path, data: Path) -> None:
    first = start(checkout, data)
    wait_for(lambda: started(checkout))
    (checkout / "runs" / "brief" / "fail").touch()
    second = start(checkout, data)
    assert second.stdout is not None
    assert f"process {first.pid} on " in second.stdout.readline()
    (checkout / "runs" / "brief" / "go").touch()
    first.communicate(timeout=60)
    said, _ = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (1, 1), said
    assert len(list((checkout / "runs").glob("brief/*/attempts/*"))) == 1  # what failed in sight is not tried again


def test_a_plan_that_waits_can_be_left_and_is_driven_in_the_background(checkout: Path, data: Path) -> None:
    first = start(checkout, data)
    wait_for(lambda: started(checkout))
    same = subprocess.run(
        sweep_in(checkout, data, "--detach"), capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert (same.returncode, "drives these runs and goes on" in same.stdout) == (0, True)
    second = start(checkout, data, "--seeds", "7")
    assert second.stdout is not None
    second.stdout.readline()
    os.killpg(second.pid, signal.SIGINT)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 130
    assert "waits for it, then drives this plan" in said
    (checkout / "runs" / "brief" / "go").touch()
    first.communicate(timeout=60)
    wait_for(lambda: len(finished(checkout)) == 5)
    wait_for(lambda: "3 finished" in log(checkout))


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, b"goes on and writes"),
        (signal.SIGHUP, 129, b""),
        (signal.SIGTERM, 143, b"jobs that were started go on"),
    ],
)
def test_signals_leave_the_queue_going_or_end_it_with_a_word(
    checkout: Path, data: Path, number: signal.Signals, code: int, word: bytes
) -> None:
    terminal = Terminal(sweep_in(checkout, data))
    terminal.wait_for_table()
    wait_for(lambda: started(checkout))
    os.kill(terminal.pid, number)
    terminal.read()
    assert terminal.ended() == code
    assert word in terminal.shown
    assert b"Traceback" not in terminal.shown
    if number != signal.SIGHUP:  # then nobody looks at the terminal any more
        assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex(HIDE_CURSOR)
    (checkout / "runs" / "brief" / "go").touch()
    if number == signal.SIGTERM:
        wait_for(lambda: finished(checkout))
        assert driver_has_ended(checkout / "runs" / "brief")
        assert len(finished(checkout)) == 1  # the job that ran; no other was started
    else:
        wait_for(lambda: "3 finished" in log(checkout))


def test_a_closed_terminal_leaves_the_queue_going(checkout: Path, data: Path) -> None:
    terminal = Terminal(sweep_in(checkout, data))
    terminal.wait_for_table()
    wait_for(lambda: started(checkout))
    os.close(terminal.master)
    assert terminal.ended() == 129
    (checkout / "runs" / "brief" / "go").touch()
    wait_for(lambda: "3 finished" in log(checkout))
    assert "Traceback" not in log(checkout)


@pytest.mark.parametrize("lines", [0, 10])
def test_a_closed_pipe_leaves_the_queue_going(checkout: Path, data: Path, lines: int) -> None:
    with subprocess.Popen(
        sweep_in(checkout, data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as driver:
        assert driver.stdout is not None
        assert driver.stderr is not None
        for _ in range(lines):
            driver.stdout.readline()
        driver.stdout.close()
        (checkout / "runs" / "brief").mkdir(parents=True, exist_ok=True)
        (checkout / "runs" / "brief" / "go").touch()
        assert driver.stderr.read() == ""
        assert driver.wait(timeout=60) == 141
    wait_for(lambda: "3 finished" in log(checkout))


def test_a_kill_ends_a_driver_in_the_background_with_a_word(checkout: Path, data: Path) -> None:
    left = subprocess.run(
        sweep_in(checkout, data, "--detach"), capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert left.returncode == 0, left.stderr
    wait_for(lambda: started(checkout))
    words = left.stdout.split()
    os.kill(int(words[words.index("process") + 1]), signal.SIGTERM)
    wait_for(lambda: "jobs that were started go on" in log(checkout))
    assert driver_has_ended(checkout / "runs" / "brief")

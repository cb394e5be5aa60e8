"""Every command at its outermost layer: a reader that goes away, a full disk, its version."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multimae import __version__
from multimae.door import SIGPIPE_CODE, enter

ROOT = Path(__file__).parents[1]
SWEEP = [str(ROOT / "experiments" / "sweep.py"), "--suite", "smoke", "--dry-run"]
COMMANDS = {
    "sweep": SWEEP,
    "sweep --json": [*SWEEP, "--json"],
    "multimae weights ls": ["-m", "multimae.cli", "weights", "ls"],
    "multimae weights ls --json": ["-m", "multimae.cli", "weights", "ls", "--json"],
    "multimae gc --json": ["-m", "multimae.cli", "gc", "--json"],
    "multimae data verify": ["-m", "multimae.cli", "data", "verify", "rooms", "--sample", "1"],
}


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_has_gone_ends_a_command_quietly(tmp_path: Path, name: str) -> None:
    reading, writing = os.pipe()
    (tmp_path / "runs").mkdir()
    os.close(reading)  # before anything is written, as the worst `head` would
    with subprocess.Popen(
        [sys.executable, *COMMANDS[name]],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
    ) as process:
        os.close(writing)
        _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    assert "Broken pipe" not in errors
    assert process.returncode == SIGPIPE_CODE


@pytest.mark.parametrize("command", [["-m", "multimae.cli"], [SWEEP[0]], [str(ROOT / "experiments" / "search.py")]])
def test_the_version_is_the_packages(tmp_path: Path, command: list[str]) -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--version"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        check=True,
    )
    assert said.stdout == f"multimae {__version__}\n"
    assert "torch" not in {line.rsplit("|", 1)[-1].strip() for line in said.stderr.splitlines()}


def test_a_full_disk_is_a_line_and_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> int:
        raise OSError(28, os.strerror(28), "/runs/x.json")

    assert enter(full, name="sweep") == 3
    assert capsys.readouterr().err == (
        "sweep: /runs/x.json: No space left on device; free some and give the same command again\n"
    )


def test_other_errors_are_left_as_they_are() -> None:
    def lost() -> int:
        raise OSError("a library means something else by it")

    with pytest.raises(OSError, match="something else"):
        enter(lost, name="sweep")

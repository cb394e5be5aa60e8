"""The processes of one job: they end with their parent, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import sys
from multimae.engine.ranks import Ranks
Ranks(["-c", sys.argv[1]], num_devices=2).wait()
"""
RANK = """
import os, signal, sys, time
from pathlib import Path
from multimae.engine.ranks import end_with_parent
end_with_parent()
me = Path({folder!r}, os.environ["RANK"])
signal.signal(signal.SIGTERM, lambda *_: (me.with_suffix(".stopped").touch(), sys.exit(75)))
me.touch()
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is a signal on Linux only")
def test_ranks_are_asked_to_stop_when_their_parent_is_killed_outright(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, RANK.format(folder=str(tmp_path))]
    with subprocess.Popen(command) as parent:
        wait_for_files(tmp_path, {"0", "1"})
        os.kill(parent.pid, signal.SIGKILL)
    wait_for_files(tmp_path, {"0", "1", "0.stopped", "1.stopped"})


def wait_for_files(folder: Path, names: set[str]) -> None:
    deadline = time.monotonic() + 60
    while {path.name for path in folder.iterdir()} != names:
        assert time.monotonic() < deadline
        time.sleep(0.05)

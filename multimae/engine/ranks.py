"""Several processes for one job, a device each: started, signalled and ended together. Free of torch.

The first process of a job stays a small parent: it starts the ranks with the variables that `torchrun` sets, hands
signals on, and ends all of them when one fails, whose others would wait for it for ever.

torchrun does much of this, too, but loads torch first: a signal in those seconds ends it without an exit.json. It ends
with 1 whatever a rank says, and a failure reaches the others as SIGTERM at once, like a wish to stop.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

GRACE_S = 30.0
POLL_S = 0.1
PR_SET_PDEATHSIG = 1


def rank_of_this_process() -> int:
    """Return the rank that started processes have; 0 for the only process of a job."""
    return int(os.environ.get("RANK", "0"))


def is_rank() -> bool:
    """Say whether this process was started as one of several."""
    return "RANK" in os.environ


def is_parent(num_devices: int) -> bool:
    """Say whether this process is to start the ranks: several are wanted and nobody has started them yet."""
    return num_devices > 1 and not is_rank()


def end_with_parent() -> None:
    """Have this rank asked to stop when its parent dies: one that is killed outright cannot hand that on.

    Only Linux can; elsewhere the ranks notice at their next checkpoint, if another attempt owns the run by then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """End this rank without taking its interpreter down, once all that it leaves is written.

    A thread of gloo that lets go of a tensor while Python ends aborts the process, however well the rank had done
    (pytorch issue 190489); destroying the process group does not help as long as anything refers to the model.
    """
    for worker in multiprocessing.active_children():
        worker.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Ranks:
    """The processes of one job on this machine."""

    def __init__(self, command: Sequence[str], *, num_devices: int) -> None:
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(num_devices)}
        self.processes = [
            subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(num_devices)
        ]

    def wait(self) -> int:
        """Wait until all have ended; return the first exit code that is not 0, else 0."""
        while any(process.poll() is None for process in self.processes):
            if any(process.poll() not in (None, 0) for process in self.processes):
                self._end_rest()
                break
            time.sleep(POLL_S)
        return next((code for process in self.processes if (code := process.wait()) != 0), 0)

    def hand_on(self, number: int) -> None:
        """Send a signal to those that still run."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def _end_rest(self) -> None:
        """Let the others end by themselves, as they do after a stop, then make them."""
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and any(process.poll() is None for process in self.processes):
            time.sleep(POLL_S)
        for process in self.processes:
            if process.poll() is None:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

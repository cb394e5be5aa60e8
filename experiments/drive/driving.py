"""What every command that drives jobs needs: a launcher, to be a folder's only driver, to go on in the background."""

import argparse
import contextlib
import fcntl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from experiments.plan.errors import PreconditionError, UsageError
from slurm.choosing import choose
from slurm.cluster import ClusterError, load_cluster
from slurm.launcher import Launcher

LOCAL_POLL_S = 1.0
SLURM_POLL_S = 10.0
TRACKING_EVERY_S = 30.0


def launcher_of(arguments: argparse.Namespace) -> Launcher:
    """Return the launcher that --executor, --cluster and --cluster-file ask for."""
    try:
        cluster = load_cluster(arguments.cluster_file, name=arguments.cluster)
        return choose(arguments.executor, cluster=cluster)
    except ClusterError as error:
        raise UsageError(str(error)) from error
    except ValueError as error:
        raise PreconditionError(str(error)) from error


def poll_seconds(launcher: Launcher) -> float:
    """Return how long to wait between two looks."""
    return SLURM_POLL_S if launcher.name == "slurm" else LOCAL_POLL_S


@contextlib.contextmanager
def driver_lock(folder: Path) -> Iterator[IO[str]]:
    """Open the file whose lock makes a process of this machine the folder's only driver."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".driver.lock").open("a") as file:
        yield file


def try_lock(file: IO[str]) -> bool:
    """Take the lock of an open file unless another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def go_on_in_background(command: Sequence[str], *, log: Path) -> int:
    """Start the command in a session of its own, without --detach, and return its process id."""
    with log.open("a") as output:
        process = subprocess.Popen(
            [word for word in command if word != "--detach"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process.returncode = 0  # it is meant to outlive this process
    return process.pid

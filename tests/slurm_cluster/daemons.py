"""Start and stop single daemons of a cluster, known by the files with their process ids."""

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.slurm_cluster.settings import LOOPBACK, ClusterSettings

READY_WITHIN_S = 60.0
STOPS_WITHIN_S = 15.0
POLL_S = 0.1


class ClusterError(RuntimeError):
    """A daemon does not start, or something is in its way."""


def process(settings: ClusterSettings, name: str) -> psutil.Process | None:
    """Return a daemon's process if it runs: `slurmctld`, `slurmd-n1`; a recycled process id does not count."""
    program = name.partition("-")[0]
    try:
        found = psutil.Process(int((settings.folder / "run" / f"{name}.pid").read_text()))
        return found if Path(found.exe()).name.startswith(program) else None
    except (OSError, ValueError, psutil.Error):
        return None


def launch(command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str]) -> None:
    """Start a program that becomes a daemon by itself."""
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip() or tail(log)}")


def wait_for(what: str, ready: Callable[[], bool], *, log: Path) -> None:
    """Wait until something is ready; raise with the end of its log if it is not in time."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} is not ready after {READY_WITHIN_S:.0f} s: {tail(log)}")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    """Say whether something listens on a port of the loopback."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def require_free(port: int, *, owner: str) -> None:
    """Raise if something listens on the port that a daemon is to have."""
    if listens(port):
        raise ClusterError(f"port {port}, wanted by {owner}, is taken: choose another with --port")


def stop(found: psutil.Process) -> None:
    """Ask a process to end, then make it."""
    with suppress(psutil.NoSuchProcess):
        found.terminate()
        try:
            found.wait(STOPS_WITHIN_S)
        except psutil.TimeoutExpired:
            found.kill()


def leftovers(settings: ClusterSettings) -> list[psutil.Process]:
    """Return the job steps of this cluster with all that they have started; a slurmd that ends leaves them running."""
    found: list[psutil.Process] = []
    for candidate in psutil.process_iter(["name"]):
        with suppress(psutil.Error):
            if candidate.info["name"] == "slurmstepd" and _is_ours(candidate, settings):
                found += [*candidate.children(recursive=True), candidate]
    return found


def _is_ours(candidate: psutil.Process, settings: ClusterSettings) -> bool:
    return candidate.environ().get("SLURM_CONF") == str(settings.slurm_conf)


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    return f"there is no {log}"

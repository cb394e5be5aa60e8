"""Jobs as processes of this machine, each in a session of its own."""

import atexit
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multimae.record.job import JobState
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.inherited import without_inherited
from slurm.processes import ProcessId

# Held so that ended jobs of this process are reaped: otherwise they would stay as zombies.
_started: list[subprocess.Popen[bytes]] = []


@atexit.register
def _leave_running() -> None:
    """Have Popen not warn of processes that still run while Python ends: to outlive us is what they are for."""
    for process in _started:
        process.returncode = 0


class LocalLauncher:
    """Start every job at once; the caller decides how many run side by side. Jobs have no time limit."""

    name = "local"
    has_queue = False

    def submit(
        self,
        command: Sequence[str],
        *,
        attempt_dir: Path,
        name: str,
        resources: Resources,
        after: Sequence[str] = (),
        env: Mapping[str, str],
    ) -> str:
        waiting = [job_id for job_id, state in self.states(after).items() if state is not JobState.ENDED]
        if waiting:
            raise SubmissionError(f"{name}: the local executor has no queue; wait for {', '.join(waiting)} to end")
        try:
            process = _start(command, folder=attempt_dir, env=_environment(resources=resources, env=env))
        except OSError as error:
            raise SubmissionError(f"{name}: cannot start {command[0]}: {error}") from error
        _started.append(process)
        return str(ProcessId.of(process.pid))

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        _started[:] = [process for process in _started if process.poll() is None]
        return {job_id: _state(ProcessId.parse(job_id)) for job_id in ids}

    def cancel(self, ids: Iterable[str]) -> None:
        for process in map(ProcessId.parse, ids):
            if process.alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)  # to the job alone: it hands signals on to its ranks

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        return {}  # a process has no comment; started.json and the heartbeat tell


def _start(command: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a job that outlives us: in the driver's session, Ctrl-C and a closed terminal would end it, too."""
    with (folder / "out.log").open("ab") as out, (folder / "err.log").open("ab") as err:
        return subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )


def _environment(*, resources: Resources, env: Mapping[str, str]) -> dict[str, str]:
    # Jobs side by side would each start a thread per core. Without a GPU asked for, none is to be seen.
    limits = {"OMP_NUM_THREADS": str(resources.cpus), **({} if resources.gpus else {"CUDA_VISIBLE_DEVICES": ""})}
    # Nor is the job that this driver may be: its number of restarts, or the way back into the queue.
    return {**without_inherited(os.environ), **limits, **env}


def _state(process: ProcessId) -> JobState:
    if not process.known_here:
        return JobState.UNKNOWN
    return JobState.RUNNING if process.alive() else JobState.ENDED

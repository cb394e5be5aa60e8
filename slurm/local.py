"""Jobs as processes of this machine, by submitit's local executor."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import submitit

from multimae.record.job import JobState
from slurm.cluster import Resources
from slurm.launcher import SubmissionError
from slurm.processes import ProcessId

# There is no queue to be fair to: a slow laptop is no reason to stop a job. submitit wants a number.
_NO_TIME_LIMIT_S = 10 * 365 * 24 * 3600

# Held so that ended jobs of this process are reaped, and because Popen objects complain when they are dropped.
_started: list[subprocess.Popen[bytes]] = []


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
        folder = attempt_dir.absolute() / "submitit"
        folder.mkdir(parents=True, exist_ok=True)
        executor = _DetachedExecutor(folder, environment=_environment(resources=resources, env=env))
        # The documented `submit` pickles a function, keeps the command's output in memory and swallows its signals.
        return str(ProcessId.of(int(executor._submit_command(_logged(command, folder=attempt_dir.absolute())).job_id)))

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        for process in _started:
            process.poll()
        return {job_id: _state(ProcessId.parse(job_id)) for job_id in ids}

    def cancel(self, ids: Iterable[str]) -> None:
        for process in map(ProcessId.parse, ids):
            if process.alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)  # submitit's controller passes it on

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        return {}  # a process has no comment; started.json and the heartbeat tell


class _DetachedExecutor(submitit.LocalExecutor):  # type: ignore[misc]  # submitit's types are not followed
    """submitit's local executor, whose controller leads a session of its own.

    In the driver's session, Ctrl-C and a closed terminal would end the jobs with it.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        super().__init__(folder=folder)
        self._environment = environment

    def _submit_command(self, command: str) -> submitit.LocalJob[None]:
        env = {
            **self._environment,
            "SUBMITIT_EXECUTOR": "local",
            "SUBMITIT_LOCAL_COMMAND": command,
            "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
            "SUBMITIT_LOCAL_NODEID": "0",
            "SUBMITIT_LOCAL_NTASKS": "1",
            "SUBMITIT_LOCAL_SIGNAL_DELAY_S": "0",
            "SUBMITIT_LOCAL_TIMEOUT_S": str(_NO_TIME_LIMIT_S),
            "SUBMITIT_LOCAL_WITH_SHELL": "",
            "SUBMITIT_STDERR_TO_STDOUT": "",
        }
        with (self.folder / "controller.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "submitit.local._local", str(self.folder)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _started.append(process)
        return submitit.LocalJob(folder=self.folder, job_id=str(process.pid), process=process)


def _environment(*, resources: Resources, env: Mapping[str, str]) -> dict[str, str]:
    # Jobs side by side would each start a thread per core. Without a GPU asked for, none is to be seen.
    limits = {"OMP_NUM_THREADS": str(resources.cpus), **({} if resources.gpus else {"CUDA_VISIBLE_DEVICES": ""})}
    return {**os.environ, **limits, **env}


def _logged(command: Sequence[str], *, folder: Path) -> str:
    script = 'exec "$@" >>"$0/out.log" 2>>"$0/err.log"'
    return shlex.join(["/bin/sh", "-c", script, str(folder), *command])


def _state(process: ProcessId) -> JobState:
    if not process.local:
        return JobState.UNKNOWN
    return JobState.RUNNING if process.alive() else JobState.ENDED

"""How the driver of a search becomes the only one, and how it leaves: as a job of its own, or in the background."""

import os
import signal
import time
from pathlib import Path

from experiments.drive.carrying import Errand
from experiments.drive.leaving import LeftError, exit_code, is_kill
from experiments.drive.loop import LOCAL_POLL_S
from experiments.drive.screen import say
from experiments.plan.errors import PreconditionError
from multimae.console import PlainConsole, plain_console
from multimae.record.attempt import Attempt, newest_job
from multimae.record.job import JobState
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.launcher import Launcher
from slurm.squeue import ask
from slurm.submission import recover, submit_attempt

DRIVER_MINUTES = 7 * 24 * 60


def leave_search(
    launcher: Launcher, *, reason: KeyboardInterrupt | LeftError, name: str, folder: Path, errand: Errand
) -> int:
    """End a search's driver that was left: where nobody can see a word, it goes on in the background.

    Trials that train go on in any case, up to the step that they are allowed to reach.
    """
    console = plain_console()
    unseen = not is_kill(reason) and not isinstance(reason, KeyboardInterrupt)
    if unseen and not launcher.has_queue and launcher.name != "inline":
        detach_search(launcher, name=name, folder=folder, errand=errand, console=console)
    else:
        say("stopped; what trains goes on, and the same command goes on with the search", console=console)
    return exit_code(reason)


def take_lock(lock: FileLock, *, console: PlainConsole) -> bool:
    """Become the search's only driver; say whether that went well.

    A job that Slurm has started again waits: on a node that only seemed lost its earlier process may live on.
    """
    waited = False
    while not lock.try_take():
        if os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
            return False
        if not waited:
            say("waits for the process that this job ran before", console=console)
        waited = True
        time.sleep(LOCAL_POLL_S)
    return True


def requeue_before_the_limit() -> None:
    """Let a driver that is a job be queued again when Slurm announces its end, which may come long before the search's.

    Slurm kills it on the way, which a driver may be at any time.
    """
    if job_id := os.environ.get("SLURM_JOB_ID"):
        signal.signal(signal.SIGUSR2, lambda *_: ask(["scontrol", "requeue", job_id]))


def detach_search(launcher: Launcher, *, name: str, folder: Path, errand: Errand, console: PlainConsole) -> int:
    """Leave the search to a small job on the cluster, or to a process in the background."""
    if launcher.has_queue:
        try:
            goes_on = _as_job(launcher, name=name, driver_dir=SuiteDir(folder).driver, errand=errand)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nthe search is not driven; its study and its trials stay") from error
    else:
        process_id = errand.go_on_in_background(SuiteDir(folder))
        goes_on = f"process {process_id} goes on and writes {SuiteDir(folder).log}"
    say(f"detached: {goes_on}; {shown_by(name)}", console=console)
    return 0


def shown_by(name: str) -> str:
    """Say which command looks at a search."""
    return f"`search.py report {name}` shows how far it is"


def _as_job(launcher: Launcher, *, name: str, driver_dir: Path, errand: Errand) -> str:
    _require_no_driver(driver_dir, launcher=launcher, name=name)
    job = submit_attempt(
        driver_dir,
        launcher=launcher,
        command=lambda _: errand.command,
        resources=Resources(cpus=1, gpus=0, memory_gb=2, minutes=DRIVER_MINUTES),
        env=errand.variables,
    )
    log = Attempt(run_dir=driver_dir, number=job.attempt).files.out
    return f"job {job.job_id} drives the search and writes {log}"


def _require_no_driver(driver_dir: Path, *, launcher: Launcher, name: str) -> None:
    """Raise PreconditionError if a job that drives the search waits or runs already."""
    recover([driver_dir], launcher=launcher)
    job = newest_job(driver_dir)
    if job is None or job.job_id is None:
        return
    if launcher.states([job.job_id])[job.job_id] in (JobState.QUEUED, JobState.RUNNING):
        raise PreconditionError(f"job {job.job_id} drives the search already, or will; {shown_by(name)}")

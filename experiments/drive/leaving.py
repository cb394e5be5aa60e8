"""How a driver leaves: to a scheduler that has all jobs, or to a process in the background that goes on."""

import subprocess
from collections.abc import Sequence

from experiments.drive.driver import Driver
from experiments.drive.screen import summary
from multimae.console import PlainConsole
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir

DETACHED = 130
"""The exit code of a driver that a person has left."""
BACK = "the same command shows how far it is and collects"


def detach(driver: Driver, *, command: Sequence[str], lock: FileLock, console: PlainConsole) -> int:
    """Leave the work to itself and say how; `command` is what goes on where there is no scheduler."""
    if driver.launcher.has_queue:
        driver.submit_ready(driver.look())
        console.print(f"detached: {summary(driver.look())}; {BACK}")
    elif driver.launcher.name == "inline":
        console.print(f"stopped: {summary(driver.look())}; the same command goes on")
    else:
        lock.close()
        folder = SuiteDir(driver.suite_dir)
        process_id = go_on_in_background(command, folder=folder)
        said = f"detached: process {process_id} goes on and writes {folder.log}; {BACK}"
        console.print(said, soft_wrap=True)
    return 0


def go_on_in_background(command: Sequence[str], *, folder: SuiteDir) -> int:
    """Start the command in a session of its own, without --detach, and return its process id."""
    with folder.log.open("a") as output:
        process = subprocess.Popen(
            [word for word in command if word != "--detach"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process.returncode = 0  # it is meant to outlive this process
    return process.pid

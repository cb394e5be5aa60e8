"""What is common to the ends of sweeps and searches: a report that could not be written, a mirror that is behind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from experiments.drive.screen import say
from experiments.drive.tracker import LAST_S, LastRound
from experiments.plan.errors import PreconditionError
from multimae.console import PlainConsole

WAIT_UNSAID_S = 3.0


@contextlib.contextmanager
def report_is_written(folder: Path) -> Iterator[None]:
    """Say in words that a folder cannot be written, for want of space or of a right; results are whole before that."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise PreconditionError(
            f"the report could not be written: {place}: {error.strerror or error}; all results are there, and the same "
            "command makes it"
        ) from error


def say_untracked(last: LastRound, *, console: PlainConsole) -> None:
    """Wait for the mirror, a limited time; say in a line what it has not taken."""
    if last.is_going_after(WAIT_UNSAID_S):
        say(f"waits for MLflow, {LAST_S:.0f} s at most; Ctrl-C leaves it", console=console)
    if said := last.wait():
        say(f"tracking: {said}; all results are there, `multimae track sync` catches up", console=console)

"""How a driver is left: by Ctrl-C, a closed terminal, a closed pipe or a kill; and what goes on then."""

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from experiments.drive.carrying import Errand
from experiments.drive.driver import Driver
from experiments.drive.screen import say, summary
from multimae.console import PlainConsole
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir

BACK = "the same command shows how far it is and collects"
WATCHED = (signal.SIGHUP, signal.SIGTERM)
GONE = (errno.EPIPE, errno.EIO)
"""What writing says once nobody reads a pipe any more, or a terminal was closed."""


class LeftError(BaseException):
    """The driver is to end; like Ctrl-C, nothing that handles errors is meant to catch it."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def exit_code(reason: KeyboardInterrupt | LeftError) -> int:
    """Return the exit code of a driver that was left, as shells count signals: 130 for Ctrl-C."""
    return 128 + (reason.number if isinstance(reason, LeftError) else signal.SIGINT)


def is_kill(reason: KeyboardInterrupt | LeftError) -> bool:
    """Say whether the process itself is to end, and nothing to go on in its place."""
    return isinstance(reason, LeftError) and reason.number is signal.SIGTERM


class Outlet(io.TextIOBase):
    """Standard output that may be closed at any moment: from then on what is written is dropped."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.gone = False

    def write(self, text: str) -> int:
        self._unless_gone(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._unless_gone(self._stream.flush)

    def drop(self) -> None:
        """Let everything that is written from now on go nowhere."""
        self.gone = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def require(self) -> None:
        """Raise LeftError once nobody reads any more."""
        if self.gone:
            raise LeftError(signal.SIGPIPE)

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._stream.encoding)

    def _unless_gone(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if error.errno not in GONE:
                raise
            self.drop()


@contextlib.contextmanager
def may_be_left() -> Iterator[Outlet]:
    """Have a closed terminal and a kill raise LeftError, and writing to a closed pipe or terminal do no harm.

    What raises passes through whatever has changed the terminal, such as a live table that hides the cursor. Signals
    that the process was started to ignore, as nohup does, stay ignored.
    """
    outlet, before = Outlet(sys.stdout), sys.stdout

    def leave(number: int, _frame: object) -> NoReturn:
        for watched in WATCHED:
            signal.signal(watched, signal.SIG_IGN)
        if number == signal.SIGHUP:
            outlet.drop()
        raise LeftError(signal.Signals(number))

    handlers = {number: signal.getsignal(number) for number in WATCHED}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, leave)
    sys.stdout = outlet
    try:
        yield outlet
    finally:
        outlet.flush()
        sys.stdout = before
        for number, handler in handlers.items():
            signal.signal(number, handler)


def leave(
    driver: Driver, *, reason: KeyboardInterrupt | LeftError, errand: Errand, lock: FileLock, console: PlainConsole
) -> int:
    """End a driver that was left: a kill ends it, anything else lets its queue go on; return the exit code."""
    if is_kill(reason):
        errand.forget()
        states = summary(driver.look())
        say(f"stopped: {states}; jobs that were started go on, and the same command starts the rest", console=console)
    else:
        detach(driver, errand=errand, lock=lock, console=console)
    return exit_code(reason)


def detach(driver: Driver, *, errand: Errand, lock: FileLock, console: PlainConsole) -> int:
    """Leave the work to itself and say how; `errand` is what goes on where there is no scheduler."""
    if driver.launcher.has_queue:
        errand.forget()
        driver.submit_ready(driver.look())
        say(f"detached: {summary(driver.look())}; {BACK}", console=console)
    elif driver.launcher.name == "inline":
        errand.forget()
        say(f"stopped: {summary(driver.look())}; the same command goes on", console=console)
    else:
        lock.close()
        folder = SuiteDir(driver.suite_dir)
        process_id = errand.go_on_in_background(folder)
        say(f"detached: process {process_id} goes on and writes {folder.log}; {BACK}", console=console)
    return 0

"""The wish that a job stop, as signals bring it. Free of torch."""

import signal
from collections.abc import Callable
from types import FrameType

from multimae.engine.failures import PreemptedError

ASK_TO_STOP = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Remember that the job was asked to stop; the loop looks at step boundaries, so that state is always whole.

    Slurm sends USR2 before the time limit or a preemption, and TERM when it means it; Ctrl-C in a terminal sends INT.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._tell: Callable[[int], object] | None = None

    def listen(self, *, tell: Callable[[int], object] | None = None) -> None:
        """Catch the signals from now on, and tell of each; of one that came before, at once."""
        self._tell = tell
        for number in ASK_TO_STOP:
            signal.signal(number, self._remember)
        if tell and self.received:
            tell(signal.Signals[self.received])

    def listen_no_more(self) -> None:
        """Let signals pass: they have nothing to stop, and would end Python in the middle of its own end."""
        for number in ASK_TO_STOP:
            signal.signal(number, signal.SIG_IGN)

    @property
    def wants_back(self) -> bool:
        """Whether the signal was the one that precedes an end which is nobody's wish."""
        return self.received == signal.SIGUSR2.name

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        if self._tell:
            self._tell(number)

    def check(self) -> None:
        """Raise PreemptedError if the job was asked to stop."""
        if self.received:
            raise PreemptedError(f"stopped by {self.received}; the next start goes on from the last checkpoint")

"""The wish that a job stop, as signals bring it. Free of torch."""

import signal
from types import FrameType

from multimae.engine.failures import PreemptedError


class StopRequest:
    """Remember that the job was asked to stop; the loop looks at step boundaries, so that state is always whole.

    Slurm sends USR2 before the time limit or a preemption, and TERM when it means it; Ctrl-C in a terminal sends INT.
    """

    def __init__(self) -> None:
        self.received: str | None = None

    def listen(self) -> None:
        """Catch SIGUSR2, SIGTERM and SIGINT from now on."""
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name

    def check(self) -> None:
        """Raise PreemptedError if the job was asked to stop."""
        if self.received:
            raise PreemptedError(f"stopped by {self.received}; the next start goes on from the last checkpoint")

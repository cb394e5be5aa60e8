"""The mirroring into MLflow beside a driver: it may fail, hang or be slow, and costs nothing but the mirror."""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from experiments.track.round import Round
from multimae.record.events import last_words
from multimae.record.state import RunState

FIRST_AFTER_S = 3.0
EVERY_S = 30.0
AT_MOST_EVERY_S = 15 * 60.0
ROUND_S = 120.0
LAST_S = 60.0
"""How long the end of a sweep waits for the mirror."""
SHARE = 0.1
"""At most this share of the time is spent on rounds."""
_ROOT = Path(__file__).parents[2]


class Tracker:
    """Mirror a suite's runs now and then, in a process beside the driver.

    A round that fails is said once, and tried again ever more rarely; `hear` is told in a line.
    """

    def __init__(self, suite_dir: Path, *, hear: Callable[[str], object]) -> None:
        self.suite_dir = suite_dir
        self._hear = hear
        self._round: _Running | None = None
        self._due = time.monotonic() + FIRST_AFTER_S
        self._num_failed = 0

    def tick(self, states: Mapping[str, RunState]) -> None:
        """Begin a round if the last is over and long enough ago."""
        self._look()
        if self._round is None and time.monotonic() >= self._due:
            try:
                self._round = _Running.start(Round(suite_dir=self.suite_dir, states=dict(states), driver="at work"))
            except OSError as error:
                self._note(str(error), took=0.0)

    def begin_last(self, states: Mapping[str, RunState]) -> "LastRound":
        """Begin the round of a driver that has nothing left to do; what follows goes on beside it."""
        return LastRound(self, asked=Round(suite_dir=self.suite_dir, states=dict(states), driver="over"))

    def take(self) -> "_Running | None":
        """Hand over the round that is under way."""
        taken, self._round = self._round, None
        return taken

    def _look(self) -> None:
        """Take note of a round that has ended, or that has to be ended."""
        if self._round is None or (self._round.is_going() and self._round.age_s < ROUND_S):
            return
        ended = self._round
        self._round = None
        took = ended.age_s
        self._note(ended.end(limit_s=ROUND_S), took=took)

    def _note(self, said: str, *, took: float) -> None:
        """Say a failure once, and choose when to begin again."""
        self._num_failed = self._num_failed + 1 if said else 0
        if said and self._num_failed == 1:
            self._hear(f"tracking: {said}; trainings go on, it is tried again")
        pause = max(EVERY_S, took / SHARE) * 2 ** min(self._num_failed, 10)
        self._due = time.monotonic() + min(pause, max(AT_MOST_EVERY_S, EVERY_S))


class LastRound:
    """The round at the end: it begins at once unless another is under way, and is waited for at the very end."""

    def __init__(self, tracker: Tracker, *, asked: Round) -> None:
        self._asked = asked
        self._before = tracker.take()
        self._last: _Running | None = None
        if self._before is None:
            with contextlib.suppress(OSError):  # a full disk; tried again in the end
                self._last = _Running.start(asked)

    def is_going_after(self, seconds: float) -> bool:
        """Wait so long for its end; say whether it still goes on."""
        first = self._before or self._last
        if first is not None:
            first.wait(until=time.monotonic() + seconds)
        return first is not None and first.is_going()

    def wait(self, *, limit_s: float = LAST_S) -> str:
        """Wait for its end, though not for longer than that; return what went wrong, empty if nothing did."""
        until = time.monotonic() + limit_s
        try:
            if self._before is not None:
                self._before.wait(until=until)
                self._before.end(limit_s=limit_s)
            self._last = self._last or _Running.start(self._asked)
            self._last.wait(until=until)
            return self._last.end(limit_s=limit_s)
        except OSError as error:
            return str(error)
        except KeyboardInterrupt:
            for running in filter(None, (self._before, self._last)):
                running.end(limit_s=limit_s)
            return "left alone"


@dataclass(frozen=True, kw_only=True)
class _Running:
    """A round under way."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    began: float

    @classmethod
    def start(cls, asked: Round) -> "_Running":
        # Files, not pipes: a process that does not read or is not read blocks nobody.
        errors = tempfile.NamedTemporaryFile(prefix="multimae-tracking-")  # noqa: SIM115  # closed by `end`
        with tempfile.TemporaryFile() as words:
            pickle.dump(asked, words)
            words.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "experiments.track.round"],
                stdin=words,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
                },
                start_new_session=True,
            )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        return cls(process=process, errors=errors, began=time.monotonic())

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def is_going(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

    def wait(self, *, until: float) -> None:
        """Wait for its end or for that moment."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=max(0.0, until - time.monotonic()))

    def end(self, *, limit_s: float) -> str:
        """End it if it still runs; return what went wrong, empty if nothing did."""
        late = self.is_going()
        if late:
            self.process.kill()
            self.process.wait()
        said = last_words(Path(self.errors.name))
        self.errors.close()
        if late:
            return f"MLflow has not answered within {limit_s:.0f} s"
        return (said or "the mirror ended without a word") if self.process.returncode else ""

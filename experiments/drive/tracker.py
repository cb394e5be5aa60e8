"""The mirroring into MLflow that goes on beside a driver."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from multimae.record.state import RunState

TRACKING_EVERY_S = 30.0


class Tracker:
    """Mirror the spools of a suite now and then, in a thread: it takes seconds, and a driver should not wait for it."""

    def __init__(self, suite_dir: Path) -> None:
        self.suite_dir = suite_dir
        self._thread: threading.Thread | None = None
        self._last = time.monotonic()

    def tick(self, states: Mapping[str, RunState]) -> None:
        """Start a round if the last is over and long enough ago."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() - self._last < TRACKING_EVERY_S:
            return
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self.round, args=(dict(states),), daemon=True)
        self._thread.start()

    def round(self, states: Mapping[str, RunState]) -> None:
        """Mirror all there is, now."""
        from experiments.track.ingest import ingest

        ingest(self.suite_dir.parent, self.suite_dir.name, states=states)

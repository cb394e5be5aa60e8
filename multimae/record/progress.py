"""Whether the starts of a run take it on: interruptions count only where they do not."""

import json
from pathlib import Path

from multimae.record.attempt import attempts_of
from multimae.record.paths import RunDir

MOST_FUTILE = 3
"""So many starts in a row that went on from the same step are enough."""


def futile_starts(run_dir: Path) -> int:
    """Count the newest starts in a row that have found the run where the one before them had found it.

    0 for the first start from a step. One that wrote nothing, because a node ends every job at once, has found the run
    where it was.
    """
    found = [_resumed_from(RunDir(run_dir).spool(attempt.number)) for attempt in attempts_of(run_dir)]
    steps = [step for step in found if step is not None]
    silent = next((count for count, step in enumerate(reversed(found)) if step is not None), max(0, len(found) - 1))
    alike = next((count for count, step in enumerate(reversed(steps)) if step != steps[-1]), len(steps))
    return silent + max(0, alike - 1)


def _resumed_from(spool: Path) -> int | None:
    """Return the step at which a start went on, from the first line of its spool; None where it has not got so far."""
    try:
        with spool.open("rb") as file:
            event = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return int(event.get("resumed_from_step") or 0) if event.get("kind") == "start" else None

"""Which starts of a run count as having taken it no further."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from multimae.record.attempt import new_attempt
from multimae.record.progress import futile_starts


def started_at(run_dir: Path, steps: Sequence[int | None]) -> None:
    """Leave a start for each step; None: one that has written nothing."""
    (run_dir / "spool").mkdir()
    for step in steps:
        attempt = new_attempt(run_dir)
        if step is not None:
            event = {"seq": 1, "time": 0.0, "kind": "start", "attempt": attempt.number, "resumed_from_step": step}
            attempt.spool_path.write_text(json.dumps(event) + "\n")


@pytest.mark.parametrize(
    ("steps", "futile"),
    [
        ((), 0),
        ((0,), 0),
        ((0, 120, 240, 360), 0),
        ((0, 0), 1),
        ((0, 120, 120, 120), 2),
        ((0, 0, 0, 120), 0),
        ((None,), 0),
        ((None, None, None), 2),
        ((0, None), 1),
        ((0, 120, 120, None), 2),
        ((0, None, 120), 0),
    ],
)
def test_starts_that_got_no_further_are_counted(tmp_path: Path, steps: Sequence[int | None], futile: int) -> None:
    started_at(tmp_path, steps)
    assert futile_starts(tmp_path) == futile


def test_a_torn_first_line_is_a_start_that_wrote_nothing(tmp_path: Path) -> None:
    started_at(tmp_path, (120, 120))
    (tmp_path / "spool" / "2.jsonl").write_text('{"seq": 1, "ti')
    assert futile_starts(tmp_path) == 1

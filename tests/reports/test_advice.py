"""Every ending that is no success says how to go on."""

from typing import get_args

import pytest

from multimae.record.endings import EXIT_KINDS
from multimae.record.state import RunState, Status
from reports.say.advice import advice


@pytest.mark.parametrize("kind", [*EXIT_KINDS, "never heard of"])
def test_every_failure_says_what_to_do(kind: str) -> None:
    assert advice(RunState(status="failed", kind=kind))


def test_only_what_needs_nobody_gets_no_advice() -> None:
    without = {status for status in get_args(Status) if not advice(RunState(status=status))}
    assert without == {"new", "queued", "running", "finished"}

"""What is submitted again, and how often."""

import pytest

from experiments.drive.decide import decide
from multimae.record.progress import MOST_FUTILE
from multimae.record.state import RunState


def test_a_blocked_run_is_not_submitted() -> None:
    assert not decide(RunState(status="blocked"), submissions=0).submit


@pytest.mark.parametrize(
    ("state", "submissions", "submit"),
    [
        (RunState(status="new"), 0, True),
        (RunState(status="finished"), 0, False),
        (RunState(status="running"), 0, False),
        (RunState(status="queued"), 0, False),
        (RunState(status="preempted", kind="preempted"), 5, True),
        (RunState(status="preempted", kind="timeout"), 1, True),
        (RunState(status="preempted", kind="preempted"), 1000, True),
        (RunState(status="preempted", kind="preempted", futile=MOST_FUTILE), 1000, False),
        (RunState(status="vanished", futile=MOST_FUTILE - 1), MOST_FUTILE, True),
        (RunState(status="vanished", futile=MOST_FUTILE), MOST_FUTILE, False),
        (RunState(status="vanished", futile=MOST_FUTILE), 0, True),
        (RunState(status="failed", kind="data"), 0, True),
        (RunState(status="failed", kind="data"), 1, False),
        (RunState(status="diverged", kind="nan"), 0, False),
    ],
)
def test_what_is_submitted_again(state: RunState, submissions: int, submit: bool) -> None:
    decision = decide(state, submissions=submissions)
    assert decision.submit is submit
    assert decision.why

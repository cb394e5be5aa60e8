"""Whether to submit a run, now or again."""

from collections.abc import Collection
from dataclasses import dataclass

from multimae.record.progress import MOST_FUTILE
from multimae.record.state import RunState

# Worth another try once a person has looked and calls `sweep` again; a run that diverged would diverge again.
RETRIED_KINDS = frozenset({"error", "data", "config", "gpu_oom", "host_oom", "disk_full"})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to submit a run now, and why or why not."""

    submit: bool
    why: str


def decide(state: RunState, *, submissions: int, retried_kinds: Collection[str] = RETRIED_KINDS) -> Decision:
    """Decide whether to submit a run that this driver has submitted `submissions` times already.

    Within one driver a failure is final, since it would fail again; called anew, it retries `retried_kinds`.
    """
    match state.status:
        case "new":
            return Decision(submit=True, why="never submitted")
        case "finished" | "running" | "queued" | "paused" | "blocked":
            return Decision(submit=False, why=state.message or state.status)
        case "diverged":
            return Decision(submit=False, why=f"diverged, never retried: {state.message}")
        case "preempted":
            return _unless_futile(state, submissions=submissions, why=f"resumes after {state.kind}")
        case "vanished":
            return _unless_futile(state, submissions=submissions, why=f"resumes, its job vanished: {state.message}")
        case "failed":
            if state.kind not in retried_kinds:
                return Decision(submit=False, why=f"failed ({state.kind}), never retried: {state.message}")
            if submissions:
                return Decision(submit=False, why=f"failed ({state.kind}): {state.message}")
            return Decision(submit=True, why=f"failed before ({state.kind}): {state.message}")


def _unless_futile(state: RunState, *, submissions: int, why: str) -> Decision:
    """Go on as long as the starts take the run on, and for a few that do not; a driver called anew tries again."""
    if min(submissions, state.futile) < MOST_FUTILE:
        return Decision(submit=True, why=why)
    return Decision(submit=False, why=f"given up, {state.futile} starts in a row got no further; {why}")

"""Where a run stands: the one answer of sweeps, reports and tracking, from its own files and a scheduler's word."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from multimae.record.attempt import Attempt, attempts_of
from multimae.record.endings import Exit, kind_said_by
from multimae.record.events import Event, last_events, last_words
from multimae.record.job import Job, JobState
from multimae.record.paths import RunDir
from multimae.record.progress import futile_starts

Status = Literal[
    "new",
    "queued",
    "running",
    "finished",
    "diverged",
    "failed",
    "preempted",
    "paused",
    "vanished",
    "blocked",
]
ACTIVE: tuple[Status, ...] = ("queued", "running")
RESUMABLE_KINDS = frozenset({"preempted", "timeout"})

SILENT_AFTER_S = 600.0
"""No heartbeat for so long, and no scheduler to ask: the job is gone.

A running job beats every two seconds; scoring a large test set may keep it quiet for minutes.
"""
_FILES_LATE_BY_S = 30.0  # a shared file system may show a node's last files this late
_SUBMISSION_TAKES_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The last progress line of a run's newest spool; None where the job did not know yet."""

    step: int
    max_steps: int
    loss: float | None = None
    images_per_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How a run is doing. `attempt` 0: never submitted. `kind` is set once an attempt has ended.

    `futile`: the starts that took it no further, where it was interrupted.
    """

    status: Status
    attempt: int = 0
    kind: str | None = None
    message: str = ""
    progress: Progress | None = None
    heartbeat_age_s: float | None = None
    job: Job | None = None
    futile: int = 0

    @property
    def text(self) -> str:
        """Say it in a table's cell: "failed: data", "preempted: timeout", "running"."""
        return f"{self.status}: {self.kind}" if self.kind and _adds(self.status, self.kind) else self.status


def run_state(run_dir: Path, *, now: float, job_state: JobState = JobState.UNKNOWN) -> RunState:
    """Say how a run is doing at `now` (unix seconds).

    `job_state`, of the job that `newest_job` names, has to be asked for before, not after.
    """
    attempts = attempts_of(run_dir)
    attempt = _newest(attempts)
    job = next((job for one in reversed(attempts) if (job := one.job) is not None), None)
    if RunDir(run_dir).result.exists():
        number = attempt.number if attempt else 0
        return RunState(
            status="finished", attempt=number, kind="finished", progress=_progress(run_dir, attempt), job=job
        )
    if attempt is None:
        return RunState(status="new")
    heartbeat = _heartbeat(attempt)
    state = RunState(
        status="running",
        attempt=attempt.number,
        progress=_progress(run_dir, attempt),
        heartbeat_age_s=None if heartbeat is None else max(0.0, now - heartbeat),
        job=job,
    )
    ending = attempt.ending
    if ending is not None and not _started_again(ending, job_state=job_state):
        return _ended(state, run_dir=run_dir, ending=ending)
    return _without_ending(state, run_dir=run_dir, now=now, job_state=job_state)


def with_dependencies(
    own: Mapping[str, RunState],
    *,
    depends_on: Mapping[str, Sequence[str]],
    is_lost: Callable[[str, RunState], bool] | None = None,
) -> dict[str, RunState]:
    """Return the states of runs by key, those blocked that need a run which is lost.

    `is_lost` says which runs will not finish; by default those that have failed. Blocking spreads.
    """
    lost = is_lost or (lambda _, state: state.status in ("failed", "diverged"))
    found = dict(own)
    changed = True
    while changed:
        changed = False
        for key, state in found.items():
            needs = [need for need in depends_on.get(key, ()) if need in found]
            culprits = [need for need in needs if found[need].status == "blocked" or lost(need, found[need])]
            blocked = _blocked_by(state, lost={need: found[need] for need in culprits})
            if blocked != state:
                found[key] = blocked
                changed = True
    return found


def _blocked_by(state: RunState, *, lost: Mapping[str, RunState]) -> RunState:
    """Return the state of a run that needs lost ones: blocked, unless it got further than that."""
    if not lost or state.status not in ("new", "queued", "preempted", "vanished"):
        return state
    named = ", ".join(f"{key} ({other.text})" for key, other in lost.items())
    return replace(state, status="blocked", kind=None, message=f"needs {named}")


def _adds(status: Status, kind: str) -> bool:
    """Say whether a kind tells more than the status does."""
    return status in ("failed", "preempted", "vanished") and kind != status


def _newest(attempts: Sequence[Attempt]) -> Attempt | None:
    """Return the newest attempt that speaks for the run.

    One without a file is of a driver that was killed in between. One that was superseded says nothing about the run,
    unless all were.
    """
    begun = [attempt for attempt in attempts if any(attempt.folder.iterdir())]
    for attempt in reversed(begun):
        ending = attempt.ending
        if ending is None or ending.kind != "superseded":
            return attempt
    return begun[-1] if begun else None


def _started_again(ending: Exit, *, job_state: JobState) -> bool:
    """Say whether Slurm runs a preempted job a second time, or will."""
    return ending.kind in RESUMABLE_KINDS and job_state in (JobState.QUEUED, JobState.RUNNING)


def _ended(state: RunState, *, run_dir: Path, ending: Exit) -> RunState:
    ended = replace(state, kind=ending.kind, message=ending.message)
    if ending.kind in RESUMABLE_KINDS:
        return replace(ended, status="preempted", futile=futile_starts(run_dir))
    if ending.kind == "paused":
        return replace(ended, status="paused")
    if ending.kind == "nan":
        return replace(ended, status="diverged")
    if ending.kind in ("superseded", "vanished"):
        return replace(ended, status="vanished", futile=futile_starts(run_dir))
    if ending.kind == "finished" and RunDir(run_dir).earlier_scores.is_dir():
        return replace(ended, status="new", kind=None, message="to be scored again")
    if ending.kind == "finished":
        return replace(ended, status="failed", kind="error", message="ended as finished but left no result.json")
    return replace(ended, status="failed")


def _without_ending(state: RunState, *, run_dir: Path, now: float, job_state: JobState) -> RunState:
    age, job = state.heartbeat_age_s, state.job
    if job_state is JobState.QUEUED:
        return replace(state, status="queued", heartbeat_age_s=None)
    if job_state is JobState.RUNNING:
        return state
    if job_state is JobState.ENDED:
        if job is not None and job.executor == "slurm" and age is not None and age < _FILES_LATE_BY_S:
            return state
        return _gone(state, run_dir=run_dir, words=_last_words(run_dir, state=state))
    if age is not None and age < SILENT_AFTER_S:
        return state
    if age is not None:
        return _vanished(state, run_dir=run_dir, message=f"no sign of life for {age / 60:.0f} min")
    if job is not None and job.job_id is None and now - job.submitted > _SUBMISSION_TAKES_S:
        return _vanished(state, run_dir=run_dir, message="its submission was interrupted")
    return replace(state, status="queued")


def _gone(state: RunState, *, run_dir: Path, words: str) -> RunState:
    """Return the state of a run whose job has ended without an exit.json: killed, or for want of memory."""
    if kind := kind_said_by(words):
        return replace(state, status="failed", kind=kind, message=words)
    return _vanished(state, run_dir=run_dir, message=words)


def _vanished(state: RunState, *, run_dir: Path, message: str) -> RunState:
    futile = futile_starts(run_dir)
    return replace(state, status="vanished", kind="vanished", message=message, futile=futile)


def _last_words(run_dir: Path, *, state: RunState) -> str:
    """Return the last line on the error stream, which may be Slurm's: out of memory, node failure."""
    number = state.job.attempt if state.job else state.attempt
    return last_words(Attempt(run_dir=run_dir, number=number).files.err) or "its job ended without a word"


def _heartbeat(attempt: Attempt) -> float | None:
    times = [event.time for event in last_events(attempt.run_dir, attempt=attempt.number)[-1:]]
    started = attempt.started
    return max([*times, *([] if started is None else [started])], default=None)


def _progress(run_dir: Path, attempt: Attempt | None) -> Progress | None:
    """Return how far the newest attempt that has a spool says it is."""
    if attempt is None:
        return None
    numbers = [number for number, _ in RunDir(run_dir).spool_files()]
    events: list[Event] = last_events(run_dir, attempt=numbers[-1]) if numbers else []
    for event in reversed(events):
        if event.kind == "progress":
            return Progress(**{name: event.fields.get(name) for name in Progress.__dataclass_fields__})  # type: ignore[arg-type]
    return None

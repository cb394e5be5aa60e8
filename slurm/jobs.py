"""How a run is doing, from its own files first and the scheduler second; and whether to submit it again."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from slurm.attempts import Job, attempt_dir, attempt_numbers, read_job, read_record
from slurm.states import JobState

Status = Literal["new", "queued", "running", "finished", "failed", "preempted", "paused", "vanished", "blocked"]

RESUMABLE_KINDS = frozenset({"preempted", "timeout"})
# Worth another try once a person has looked and calls `sweep` again; a run that diverged would diverge again.
RETRIED_KINDS = frozenset({"error", "data", "config", "gpu_oom", "host_oom", "disk_full"})
MAX_VANISHED = 3
MAX_RESUMED = 100

SILENT_AFTER_S = 600.0
"""No heartbeat for so long, and no scheduler to ask: the job is gone."""
_FILES_LATE_BY_S = 30.0  # a shared file system may show a node's last files this late
_SUBMISSION_TAKES_S = 60.0
_TAIL_BYTES = 16384


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
    """How a run is doing. `attempt` 0: never submitted. `kind` is set once an attempt has ended."""

    status: Status
    attempt: int = 0
    kind: str | None = None
    message: str = ""
    progress: Progress | None = None
    heartbeat_age_s: float | None = None
    job: Job | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to submit a run now, and why or why not."""

    submit: bool
    why: str


def run_state(run_dir: Path, *, now: float, job_state: JobState = JobState.UNKNOWN) -> RunState:
    """Say how a run is doing. `job_state`, of the job that `read_job` names, has to be asked for before, not after."""
    attempt = _newest_attempt(run_dir)
    job = read_job(run_dir)
    progress = _progress(run_dir) if attempt else None
    if (run_dir / "result.json").exists():
        return RunState(status="finished", attempt=attempt, kind="finished", progress=progress, job=job)
    if attempt == 0:
        return RunState(status="new")
    folder = attempt_dir(run_dir, attempt=attempt)
    heartbeat = _heartbeat(run_dir, attempt=attempt)
    state = RunState(
        status="running",
        attempt=attempt,
        progress=progress,
        heartbeat_age_s=None if heartbeat is None else max(0.0, now - heartbeat),
        job=job,
    )
    ending = read_record(folder / "exit.json")
    if ending is not None and not _started_again(ending, job_state=job_state):
        return _ended(state, ending=ending)
    return _without_ending(state, run_dir=run_dir, now=now, job_state=job_state)


def blocked_by(state: RunState, *, failed: Sequence[str]) -> RunState:
    """Return the state of a run whose dependencies `failed`: blocked, unless it got further than that."""
    if not failed or state.status not in ("new", "queued", "preempted", "vanished"):
        return state
    return replace(state, status="blocked", message=f"needs {', '.join(failed)}, which failed")


def decide(state: RunState, *, submissions: int, retried_kinds: Collection[str] = RETRIED_KINDS) -> Decision:
    """Decide whether to submit a run that this driver has submitted `submissions` times already.

    Within one driver a failure is final, since it would fail again; called anew, it retries `retried_kinds`.
    """
    match state.status:
        case "new":
            return Decision(submit=True, why="never submitted")
        case "finished" | "running" | "queued" | "paused" | "blocked":
            return Decision(submit=False, why=state.message or state.status)
        case "preempted":
            return _within(MAX_RESUMED, submissions=submissions, why=f"resumes after {state.kind}")
        case "vanished":
            return _within(MAX_VANISHED, submissions=submissions, why=f"resumes, its job vanished: {state.message}")
        case "failed":
            if state.kind not in retried_kinds:
                return Decision(submit=False, why=f"failed ({state.kind}), never retried: {state.message}")
            if submissions:
                return Decision(submit=False, why=f"failed ({state.kind}): {state.message}")
            return Decision(submit=True, why=f"failed before ({state.kind}): {state.message}")


def _within(limit: int, *, submissions: int, why: str) -> Decision:
    if submissions < limit:
        return Decision(submit=True, why=why)
    return Decision(submit=False, why=f"given up after {submissions} submissions; {why}")


def _newest_attempt(run_dir: Path) -> int:
    """Return the newest attempt with something in its folder: one without is of a driver killed in between."""
    for number in reversed(attempt_numbers(run_dir)):
        if any(attempt_dir(run_dir, attempt=number).iterdir()):
            return number
    return 0


def _started_again(ending: dict[str, Any], *, job_state: JobState) -> bool:
    """Say whether Slurm runs a preempted job a second time, or will."""
    return ending.get("kind") in RESUMABLE_KINDS and job_state in (JobState.QUEUED, JobState.RUNNING)


def _ended(state: RunState, *, ending: dict[str, Any]) -> RunState:
    kind, message = str(ending.get("kind", "error")), str(ending.get("message", ""))
    if kind in RESUMABLE_KINDS:
        return replace(state, status="preempted", kind=kind, message=message)
    if kind == "paused":
        return replace(state, status="paused", kind=kind, message=message)
    if kind == "superseded":
        return replace(state, status="vanished", kind=kind, message=message)
    if kind == "finished":
        kind, message = "error", "the job says it finished but there is no result.json"
    return replace(state, status="failed", kind=kind, message=message)


def _without_ending(state: RunState, *, run_dir: Path, now: float, job_state: JobState) -> RunState:
    age, job = state.heartbeat_age_s, state.job
    if job_state is JobState.QUEUED:
        return replace(state, status="queued", heartbeat_age_s=None)
    if job_state is JobState.RUNNING:
        return state
    if job_state is JobState.ENDED:
        if job is not None and job.executor == "slurm" and age is not None and age < _FILES_LATE_BY_S:
            return state
        return replace(state, status="vanished", kind="vanished", message=_last_words(run_dir, state=state))
    if age is not None:
        if age < SILENT_AFTER_S:
            return state
        return replace(state, status="vanished", kind="vanished", message=f"no sign of life for {age / 60:.0f} min")
    if job is not None and job.job_id is None and now - job.submitted > _SUBMISSION_TAKES_S:
        return replace(state, status="vanished", kind="vanished", message="its submission was interrupted")
    return replace(state, status="queued")


def _last_words(run_dir: Path, *, state: RunState) -> str:
    """Return the last line on the error stream, which may be Slurm's: out of memory, node failure."""
    number = state.job.attempt if state.job else state.attempt
    lines = _tail(attempt_dir(run_dir, attempt=number) / "err.log")
    return lines[-1].strip() if lines else "its job ended without a word"


def _heartbeat(run_dir: Path, *, attempt: int) -> float | None:
    started = read_record(attempt_dir(run_dir, attempt=attempt) / "started.json") or {}
    events = _tail_events(run_dir / "spool" / f"{attempt}.jsonl")
    times = [record["time"] for record in (started, *events[-1:]) if "time" in record]
    return max(times, default=None)


def _progress(run_dir: Path) -> Progress | None:
    numbers = [int(path.stem) for path in (run_dir / "spool").glob("*.jsonl") if path.stem.isdigit()]
    if not numbers:
        return None
    for event in reversed(_tail_events(run_dir / "spool" / f"{max(numbers)}.jsonl")):
        if event.get("kind") == "progress":
            return Progress(**{name: event.get(name) for name in Progress.__dataclass_fields__})
    return None


def _tail_events(path: Path) -> list[dict[str, Any]]:
    """Read the last events of a spool; the first line of the tail and a killed writer's last one may be torn."""
    events = []
    for line in _tail(path):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()]

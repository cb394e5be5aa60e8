"""What MLflow should know of one run, worked out from its folder without MLflow: everything new since last time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from multimae.record.events import Event, Point, points, read_events, resumed_steps, spool_sizes
from multimae.record.files import read_json, write_json
from multimae.record.paths import RunDir
from multimae.record.result import Result
from multimae.record.run import Run
from multimae.record.state import RunState, Status

MlflowStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]

STATUSES: Mapping[Status, MlflowStatus] = {
    "new": "SCHEDULED",
    "queued": "SCHEDULED",
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "blocked": "FAILED",
    "preempted": "KILLED",
    "paused": "KILLED",
    "vanished": "KILLED",
}
_IDENTITY = ("task", "checkpoint", "seed", "size", "profile")


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """How much of a run MLflow has: kept in a file, so that a killed ingester knows where it was.

    `token` marks the MLflow run before its id is known. `dirty` is set while points are on their way: found set, it
    means that nobody knows which arrived, and the MLflow run is made anew.
    """

    token: str = ""
    run_id: str = ""
    dirty: bool = False
    seen: str = ""
    status: str = ""
    offsets: Mapping[int, int] = field(default_factory=dict)
    resumed: Mapping[int, int] = field(default_factory=dict)
    last_steps: Mapping[str, int] = field(default_factory=dict)
    params: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Mirrored":
        """Read the file, or begin at nothing."""
        record = read_json(path)
        if record is None:
            return cls()
        by_attempt = {
            name: {int(attempt): number for attempt, number in record[name].items()} for name in ("offsets", "resumed")
        }
        return cls(**{**record, **by_attempt})

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Update:
    """What to tell MLflow about a run, and what it will have then."""

    points: Sequence[Point]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    artifacts: Mapping[str, Path]
    status: str | None
    ended: float | None
    done: Mirrored

    @property
    def empty(self) -> bool:
        """Whether MLflow has it all."""
        return not (self.points or self.params or self.tags or self.artifacts or self.status)


class OvertakenError(Exception):
    """MLflow has points that no longer count and cannot be taken back: the MLflow run has to be made anew."""


def fingerprint(run_dir: Path, *, state: RunState) -> str:
    """Sum up, by a few calls to stat, whether there may be anything new."""
    files = [path.stat().st_mtime_ns if path.exists() else 0 for path in _described_in(run_dir)]
    job_id = state.job.job_id if state.job else None
    return json.dumps([state.status, state.attempt, state.message, job_id, spool_sizes(run_dir), files])


def update(run_dir: Path, *, state: RunState, parent_id: str, before: Mirrored) -> Update:
    """Work out what is new since `before`. Raises OvertakenError when `before` holds what should not be there."""
    # Before anything is read: what is written while this reads makes the next look differ, and is not missed.
    seen = fingerprint(run_dir, state=state)
    run = Run.of(run_dir)
    result = Result.read(run_dir) if state.status == "finished" else None
    batch = read_events(run_dir, offsets=before.offsets)
    resumed = {**before.resumed, **resumed_steps(batch.events)}
    # Steps that an attempt resumed at come first: they decide which points of earlier attempts still count.
    new_points = points(batch.events, resumed=resumed)
    _check_not_overtaken(batch.events, new_points=new_points, before=before)
    new_points += _final_points(result, known={*before.last_steps, *(point.name for point in new_points)})
    params = {key: value for key, value in _params(run, batch.events).items() if key not in before.params}
    tags = _tags(run, state=state, parent_id=parent_id)
    files = _files(run_dir, events=batch.events)
    stamps = {name: _stamp(path) for name, path in files.items()}
    status = STATUSES[state.status]
    done = replace(
        before,
        dirty=False,
        seen=seen,
        status=status,
        offsets=batch.offsets,
        resumed=resumed,
        last_steps={**before.last_steps, **_last_steps(new_points)},
        params=[*before.params, *params],
        tags=tags,
        artifacts={**before.artifacts, **stamps},
    )
    return Update(
        points=new_points,
        params=params,
        tags={name: value for name, value in tags.items() if before.tags.get(name) != value},
        artifacts={name: path for name, path in files.items() if before.artifacts.get(name) != stamps[name]},
        status=status if status != before.status else None,
        ended=_ended(result, batch.events),
        done=done,
    )


def started(run_dir: Path, *, state: RunState) -> float | None:
    """Return when the run was first heard of: its first event, or else its submission."""
    first = read_events(run_dir).events[:1]
    if first:
        return first[0].time
    return state.job.submitted if state.job else None


def _check_not_overtaken(events: Sequence[Event], *, new_points: Sequence[Point], before: Mirrored) -> None:
    logged = max(before.last_steps.values(), default=-1)
    if any(at < logged for at in resumed_steps(events).values()):
        raise OvertakenError
    if any(point.step <= before.last_steps.get(point.name, -1) for point in new_points):
        raise OvertakenError


def _last_steps(new_points: Sequence[Point]) -> dict[str, int]:
    steps: dict[str, int] = {}
    for point in new_points:
        steps[point.name] = max(point.step, steps.get(point.name, -1))
    return steps


def _final_points(result: Result | None, *, known: set[str]) -> list[Point]:
    """The result's scores under `<split>/<protocol>/<metric>`, where the spool has not brought them, and baselines."""
    if result is None:
        return []
    rows = [("", row) for row in result.rows] + [("baseline/", row) for row in result.baselines]
    named = [(f"{prefix}{row.split}/{row.protocol}/{row.metric}", row.number) for prefix, row in rows]
    return [
        Point(name=name, step=result.steps, value=value, time=result.finished)
        for name, value in named
        if name not in known
    ]


def _params(run: Run, events: Sequence[Event]) -> dict[str, str]:
    spooled = [event.fields["values"] for event in events if event.kind == "params"]
    described = {name: getattr(run, name) for name in _IDENTITY} | {"inputs": "+".join(run.inputs)}
    described["dataset"] = run.dataset.name
    values: dict[str, Any] = {}
    for found in (*reversed(spooled), run.settings, described):  # the first value of a name stands: it is immutable
        values |= found
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _tags(run: Run, *, state: RunState, parent_id: str) -> dict[str, str]:
    job_id = state.job.job_id if state.job else None
    return {
        "mlflow.parentRunId": parent_id,
        "key": run.key,
        "kind": run.kind,
        "task": run.task,
        "checkpoint": run.checkpoint,
        "inputs": "+".join(run.inputs),
        "seed": str(run.seed),
        "dataset": run.dataset.name,
        "digest": json.dumps(run.digest, sort_keys=True),
        "attempts": str(state.attempt),
        "job_id": job_id or "",
        "status": state.status,
        "message": state.message,
    }


def _described_in(run_dir: Path) -> tuple[Path, ...]:
    """Return the files that describe a run and its result."""
    files = RunDir(run_dir)
    return files.config, files.run, files.result


def _files(run_dir: Path, *, events: Sequence[Event]) -> dict[str, Path]:
    announced = {event.fields["name"]: run_dir / event.fields["path"] for event in events if event.kind == "artifact"}
    paths = {path.name: path for path in _described_in(run_dir)} | announced
    return {name: path for name, path in paths.items() if path.is_file()}


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _ended(result: Result | None, events: Sequence[Event]) -> float | None:
    if result is not None:
        return result.finished
    return events[-1].time if events else None

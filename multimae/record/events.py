"""What the attempts of a run have written into their spools, read as one record.

What later attempts have overtaken is left out.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimae.record.paths import RunDir
from multimae.record.text import printable

_TAIL_BYTES = 16384


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a spool."""

    attempt: int
    kind: str
    fields: Mapping[str, Any]

    @property
    def time(self) -> float:
        """When it was written, in unix seconds."""
        return float(self.fields["time"])


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events in the order of attempts and lines, and how many bytes of each attempt's spool have been read by then."""

    events: tuple[Event, ...]
    offsets: Mapping[int, int]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric; `value` is NaN where the spool has null."""

    name: str
    step: int
    value: float
    time: float


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric over optimizer steps; a value that was no number is NaN."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class History:
    """All that the attempts of one run wrote; `seconds` adds up the attempts' spans, waiting left out."""

    curves: Mapping[str, Curve]
    step: int
    max_steps: int
    seconds: float
    last_time: float | None


def spool_sizes(run_dir: Path) -> dict[int, int]:
    """Return the size of every attempt's spool in bytes."""
    return {attempt: path.stat().st_size for attempt, path in RunDir(run_dir).spool_files()}


def read_events(run_dir: Path, *, offsets: Mapping[int, int] | None = None) -> Events:
    """Read what was appended after `offsets`, by default all. A line without its end is left for the next time."""
    events: list[Event] = []
    reached = dict(offsets or {})
    for attempt, path in RunDir(run_dir).spool_files():
        with path.open("rb") as file:
            file.seek(reached.get(attempt, 0))
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        reached[attempt] = reached.get(attempt, 0) + len(whole)
        events += _parsed(whole.splitlines(), attempt=attempt)
    return Events(events=tuple(events), offsets=reached)


def last_events(run_dir: Path, *, attempt: int) -> list[Event]:
    """Read the last events of one spool; the first line of its tail and a killed writer's last one may be torn."""
    return list(_parsed(_tail(RunDir(run_dir).spool(attempt)), attempt=attempt))


def last_words(path: Path) -> str:
    """Return the last line of a log that says anything; empty where there is none."""
    lines = [line for line in _tail(path) if line.strip()]
    return printable(lines[-1].decode(errors="replace")).strip() if lines else ""


def resumed_steps(events: Iterable[Event]) -> dict[int, int]:
    """Return the step at which each attempt went on; 0 for one that began anew."""
    return {event.attempt: int(event.fields["resumed_from_step"] or 0) for event in events if event.kind == "start"}


def points(events: Iterable[Event], *, resumed: Mapping[int, int]) -> list[Point]:
    """Return each metric's value at each step once.

    An attempt that resumed at step s has overtaken every earlier attempt's points after s, also those that a job which
    does not know it was replaced still writes. Of two values at one step (an evaluation done again) the later counts.
    """
    kept: dict[tuple[str, int], Point] = {}
    for event in events:
        if event.kind != "metrics":
            continue
        step = int(event.fields["step"])
        if any(attempt > event.attempt and step > at for attempt, at in resumed.items()):
            continue
        for name, value in event.fields["values"].items():
            number = math.nan if value is None else float(value)
            kept[name, step] = Point(name=name, step=step, value=number, time=event.time)
    return list(kept.values())


def read_history(run_dir: Path) -> History:
    """Read all that a run has written."""
    return history(read_events(run_dir).events)


def history(events: Iterable[Event]) -> History:
    """Sum up events in the order of attempts: curves without what resumes took back, the step, the time."""
    everything = list(events)
    values: dict[str, dict[int, float]] = {}
    for point in points(everything, resumed=resumed_steps(everything)):
        values.setdefault(point.name, {})[point.step] = point.value
    step, max_steps = 0, 0
    spans: dict[int, list[float]] = {}
    for event in everything:
        spans.setdefault(event.attempt, []).append(event.time)
        max_steps = int(event.fields.get("max_steps") or max_steps)
        if event.kind == "start":
            step = int(event.fields.get("resumed_from_step") or 0)
        elif event.kind == "progress":
            step = int(event.fields["step"])
        elif event.kind == "metrics":
            step = max(step, int(event.fields["step"]))
    return History(
        curves={name: _curve(own) for name, own in values.items()},
        step=step,
        max_steps=max_steps,
        seconds=sum((times[-1] - times[0] for times in spans.values()), start=0.0),
        last_time=everything[-1].time if everything else None,
    )


def _curve(values: Mapping[int, float]) -> Curve:
    ordered = sorted(values.items())
    return Curve(steps=tuple(at for at, _ in ordered), values=tuple(value for _, value in ordered))


def _parsed(lines: Iterable[bytes], *, attempt: int) -> Iterator[Event]:
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # two halves of lines, after a full disk, or half of one at the beginning of a tail
        if isinstance(fields, dict) and "kind" in fields:
            yield Event(attempt=attempt, kind=str(fields["kind"]), fields=fields)


def _tail(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return file.read().splitlines()
    except FileNotFoundError:
        return []

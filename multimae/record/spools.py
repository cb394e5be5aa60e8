"""A run's spools as one record: what its attempts wrote, less what later attempts have overtaken."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of `spool/<attempt>.jsonl`."""

    attempt: int
    kind: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Batch:
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


def spool_sizes(run_dir: Path) -> dict[int, int]:
    """Return the size of every attempt's spool in bytes."""
    paths = (path for path in (run_dir / "spool").glob("*.jsonl") if path.stem.isdigit())
    return dict(sorted((int(path.stem), path.stat().st_size) for path in paths))


def read_events(run_dir: Path, *, offsets: Mapping[int, int]) -> Batch:
    """Read what was appended after `offsets`. A line without its end is left for the next time."""
    events: list[Event] = []
    reached = dict(offsets)
    for attempt in spool_sizes(run_dir):
        with (run_dir / "spool" / f"{attempt}.jsonl").open("rb") as file:
            file.seek(offsets.get(attempt, 0))
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        reached[attempt] = offsets.get(attempt, 0) + len(whole)
        events += [event for line in whole.splitlines() if (event := _event(line, attempt=attempt)) is not None]
    return Batch(events=tuple(events), offsets=reached)


def resumed_steps(events: Iterable[Event]) -> dict[int, int]:
    """Return the step at which each attempt went on; 0 for one that began anew."""
    return {event.attempt: int(event.fields["resumed_from_step"]) for event in events if event.kind == "start"}


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
            number = float("nan") if value is None else float(value)
            kept[name, step] = Point(name=name, step=step, value=number, time=event.fields["time"])
    return list(kept.values())


def _event(line: bytes, *, attempt: int) -> Event | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None  # two halves of lines, after a full disk
    return Event(attempt=attempt, kind=str(fields["kind"]), fields=fields) if isinstance(fields, dict) else None

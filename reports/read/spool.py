"""Read the append-only records of a run's attempts: curves without what a resume took back, and signs of life."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric over optimizer steps; a value that was no number is NaN."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all attempts of one run wrote; `seconds` adds up the attempts' spans."""

    curves: Mapping[str, Curve]
    step: int
    max_steps: int
    seconds: float
    last_time: float | None


def read_record(run_dir: Path) -> Record:
    """Read spool/<n>.jsonl in the order of the attempts.

    What an earlier attempt measured after the step a later one resumed from was trained again, and is dropped.
    """
    points: dict[str, dict[int, float]] = {}
    step, max_steps, seconds, last_time = 0, 0, 0.0, None
    for path in sorted(run_dir.glob("spool/*.jsonl"), key=lambda path: int(path.stem)):
        events = list(_events(path))
        for event in events:
            if event["kind"] == "start":
                step, max_steps = int(event.get("resumed_from_step") or 0), int(event.get("max_steps") or max_steps)
                points = {name: _until(step, values) for name, values in points.items()}
            elif event["kind"] == "progress":
                step, max_steps = int(event["step"]), int(event.get("max_steps") or max_steps)
            elif event["kind"] == "metrics":
                step = max(step, int(event["step"]))
                for name, value in event["values"].items():
                    points.setdefault(name, {})[int(event["step"])] = math.nan if value is None else float(value)
        if events:
            last_time = float(events[-1]["time"])
            seconds += last_time - float(events[0]["time"])
    curves = {name: _curve(values) for name, values in points.items()}
    return Record(curves=curves, step=step, max_steps=max_steps, seconds=seconds, last_time=last_time)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue  # The writer was killed in the middle of this line.


def _until(step: int, values: Mapping[int, float]) -> dict[int, float]:
    return {at: value for at, value in values.items() if at <= step}


def _curve(values: Mapping[int, float]) -> Curve:
    ordered = sorted(values.items())
    return Curve(steps=tuple(at for at, _ in ordered), values=tuple(value for _, value in ordered))

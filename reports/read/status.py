"""Where a run stands, told from its own files alone, and what to do when it failed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

State = Literal["finished", "diverged", "failed", "stopped", "running", "queued", "blocked"]

SECONDS_UNTIL_SILENT = 300.0
"""A running job beats every two seconds; evaluating a large test set may keep it quiet for minutes."""

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "data": "Repair or replace the file named here, then run the same command again.",
        "nan": "Recorded as a result and not tried again. A lower recipe.lr or a longer warm-up makes a new run.",
        "gpu_oom": "Set a smaller recipe.micro_batch_size; the batch the optimizer sees stays the same.",
        "host_oom": "Ask for more memory, or fewer recipe.num_workers, then run the same command again.",
        "disk_full": "Free space under the runs folder, then run the same command again.",
        "config": "Correct the setting named here; the corrected run gets a new name.",
        "error": "The end of the log says where. Run the same command again once it is repaired.",
        "vanished": "The process left no word: killed, or its machine was lost. The same command resumes it.",
        "preempted": "The same command resumes it from its last checkpoint.",
        "timeout": "The same command resumes it from its last checkpoint; ask for more time if this repeats.",
        "blocked": "It starts by itself once the run it needs has finished.",
    }
)
_STOPPED = ("preempted", "timeout", "vanished")


@dataclass(frozen=True, kw_only=True)
class Status:
    """`kind` is the failure's kind where there is one; `message` is what the run itself said."""

    state: State
    kind: str = ""
    message: str = ""

    @property
    def text(self) -> str:
        """Say it in a table cell: "failed: data", "running", "queued"."""
        return f"{self.state}: {self.kind}" if self.state in ("failed", "stopped") and self.kind else self.state

    @property
    def advice(self) -> str:
        """Say what the user can do; empty where there is nothing to do."""
        if self.state in ("failed", "stopped", "diverged"):
            return ADVICE.get(self.kind, ADVICE["error"])
        return ADVICE["blocked"] if self.state == "blocked" else ""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a run, as its folder tells it; `ending` is exit.json."""

    number: int
    started: float | None
    ending: Mapping[str, Any] | None


def read_attempts(run_dir: Path) -> tuple[Attempt, ...]:
    """Read attempts/<n>/ in order."""
    folders = sorted((int(path.name), path) for path in run_dir.glob("attempts/*") if path.name.isdigit())
    return tuple(_read_attempt(folder, number=number) for number, folder in folders)


def read_json(path: Path) -> Any:
    """Return what the file holds, None when there is no such file."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None


def own_status(
    *, result: Mapping[str, Any] | None, attempts: tuple[Attempt, ...], last_sign: float | None, now: float
) -> Status:
    """Tell a run's status, not looking at the runs it depends on; `last_sign` is when it last wrote (unix seconds)."""
    if result is not None:
        return Status(state="diverged", kind="nan") if _diverged(result) else Status(state="finished")
    attempts = tuple(attempt for attempt in attempts if not _superseded(attempt))
    if not attempts:
        return Status(state="queued")
    last = attempts[-1]
    if last.ending is not None:
        return _ended(last.ending)
    if last.started is None:
        return Status(state="queued")
    if now - max(last.started, last_sign or 0.0) > SECONDS_UNTIL_SILENT:
        minutes = (now - max(last.started, last_sign or 0.0)) / 60
        return Status(state="stopped", kind="vanished", message=f"no sign of life for {minutes:.0f} min")
    return Status(state="running")


def with_dependencies(own: Mapping[str, Status], *, depends_on: Mapping[str, tuple[str, ...]]) -> dict[str, Status]:
    """Turn queued runs that need a failed run into blocked ones; `own` and `depends_on` map run keys."""
    found = dict(own)
    changed = True
    while changed:
        changed = False
        for key, status in found.items():
            culprit = next((need for need in depends_on[key] if need in found and _hopeless(found[need])), None)
            if status.state == "queued" and culprit is not None:
                message = f"needs {culprit} ({found[culprit].text})"
                found[key] = Status(state="blocked", message=message)
                changed = True
    return found


def _read_attempt(folder: Path, *, number: int) -> Attempt:
    started = read_json(folder / "started.json")
    return Attempt(number=number, started=started["time"] if started else None, ending=read_json(folder / "exit.json"))


def _superseded(attempt: Attempt) -> bool:
    return attempt.ending is not None and attempt.ending["kind"] == "superseded"


def _diverged(result: Mapping[str, Any]) -> bool:
    return bool(result["rows"]) and all(row.get("diverged") for row in result["rows"])


def _ended(ending: Mapping[str, Any]) -> Status:
    kind, message = str(ending["kind"]), str(ending.get("message", ""))
    if kind == "nan":
        return Status(state="diverged", kind=kind, message=message)
    if kind in _STOPPED:
        return Status(state="stopped", kind=kind, message=message)
    if kind == "finished":
        return Status(state="failed", kind="error", message="ended as finished but left no result.json")
    return Status(state="failed", kind=kind, message=message)


def _hopeless(status: Status) -> bool:
    return status.state in ("failed", "diverged", "blocked")

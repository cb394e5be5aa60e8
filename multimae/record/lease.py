"""Who owns a run: the newest attempt that has started. What an earlier one still computes counts no more."""

from pathlib import Path
from typing import Literal

from multimae.record.files import write_text
from multimae.record.paths import RunDir


class SupersededError(RuntimeError):
    """A later attempt owns the run."""


def lease_holder(run_dir: Path) -> int:
    """Return the number of the attempt that owns the run, 0 when nobody has started it."""
    try:
        return int(RunDir(run_dir).lease.read_text())
    except FileNotFoundError:
        return 0


def take_lease(run_dir: Path, *, attempt: int) -> None:
    """Make an attempt the owner of a run; raise SupersededError if a later one is."""
    require_lease(run_dir, attempt=attempt, older_holder="take over")
    write_text(RunDir(run_dir).lease, f"{attempt}\n")


def require_lease(run_dir: Path, *, attempt: int, older_holder: Literal["refuse", "take over"] = "refuse") -> None:
    """Raise SupersededError unless an attempt owns the run; checked before anything lasting is written."""
    holder = lease_holder(run_dir)
    if holder == attempt or (older_holder == "take over" and holder < attempt):
        return
    raise SupersededError(f"attempt {attempt} of {run_dir.name} was superseded by attempt {holder}")

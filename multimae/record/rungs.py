"""How far a run may train: the word of a search's driver to the job."""

from pathlib import Path

from multimae.record.files import read_json, write_json
from multimae.record.paths import RunDir


def read_until(run_dir: Path) -> int | None:
    """Return the step up to which a run may train; None where nobody has set a limit."""
    record = read_json(RunDir(run_dir).until)
    return None if record is None else int(record["step"])


def raise_until(run_dir: Path, *, step: int) -> None:
    """Let a run train up to `step`; a limit that is higher already stays."""
    write_json(RunDir(run_dir).until, {"step": max(step, read_until(run_dir) or 0)})

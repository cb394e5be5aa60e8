"""One start of a run: its folder, its lease on the run, and the file that says how it ended. Free of torch."""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multimae.record.failures import Kind, SupersededError, exit_code
from multimae.record.files import write_json, write_text


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The `number`-th start of the run in `run_dir`."""

    run_dir: Path
    number: int

    @property
    def folder(self) -> Path:
        """Where this attempt's logs and endings lie."""
        return self.run_dir / "attempts" / str(self.number)

    @property
    def spool_path(self) -> Path:
        """Where this attempt's events go."""
        return self.run_dir / "spool" / f"{self.number}.jsonl"

    def start(self) -> None:
        """Take the run's lease and say who runs; a newer lease makes this attempt give up at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.require_lease(older_holder="take over")
        write_text(self.run_dir / "lease", f"{self.number}\n")
        write_json(
            self.folder / "started.json", {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
        )

    def require_lease(self, *, older_holder: Literal["refuse", "take over"] = "refuse") -> None:
        """Raise SupersededError unless this attempt owns the run; checked before anything lasting is written."""
        holder = lease_holder(self.run_dir)
        if holder == self.number or (older_holder == "take over" and holder < self.number):
            return
        raise SupersededError(f"attempt {self.number} of {self.run_dir.name} was superseded by attempt {holder}")

    def end(self, *, kind: Kind, message: str) -> int:
        """Write exit.json and return the process exit code."""
        code = exit_code(kind)
        ending = {"kind": kind, "message": message, "exit_code": code, "time": time.time()}
        write_json(self.folder / "exit.json", ending)
        return code

    def exit_code(self) -> int | None:
        """Return the exit code that exit.json names; None while nothing has said how the attempt ended."""
        try:
            code: int = json.loads((self.folder / "exit.json").read_text("utf-8"))["exit_code"]
        except FileNotFoundError:
            return None
        return code

    def end_rank(self, *, kind: Kind, message: str) -> int:
        """Write down how a rank other than 0 ended; it counts if rank 0 cannot say how the attempt did."""
        write_json(self.folder / "exit-of-a-rank.json", {"kind": kind, "message": message})
        return exit_code(kind)

    def end_as_rank_did(self, *, otherwise: str) -> int:
        """Write exit.json from what a rank wrote down, or with the words given."""
        try:
            said = json.loads((self.folder / "exit-of-a-rank.json").read_text("utf-8"))
        except FileNotFoundError:
            said = {"kind": "error", "message": otherwise}
        return self.end(kind=said["kind"], message=said["message"])


def lease_holder(run_dir: Path) -> int:
    """Return the number of the attempt that owns the run, 0 when nobody has started it."""
    try:
        return int((run_dir / "lease").read_text())
    except FileNotFoundError:
        return 0


def current_attempt(run_dir: Path, *, submitted: int, environ: Mapping[str, str]) -> Attempt:
    """Name the attempt this process is: the one submitted, or a new one when Slurm has requeued the job.

    A requeued job runs the same command again, with SLURM_RESTART_COUNT above 0.
    """
    if int(environ.get("SLURM_RESTART_COUNT", "0")) == 0:
        return Attempt(run_dir=run_dir, number=submitted)
    attempts = run_dir / "attempts"
    number = 1 + max((int(entry.name) for entry in attempts.iterdir() if entry.name.isdigit()), default=submitted)
    (attempts / str(number)).mkdir()
    return Attempt(run_dir=run_dir, number=number)

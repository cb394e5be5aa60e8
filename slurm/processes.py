"""Processes of this machine, told apart even when a process id is used again."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process on one machine; written `<pid>.<start>@<host>`, where only equality of `start` means something."""

    pid: int
    start: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Identify a process of ours that has not been waited for."""
        return cls(pid=pid, start=_start(pid) or "gone", host=socket.gethostname())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        process, _, host = text.partition("@")
        pid, _, start = process.partition(".")
        return cls(pid=int(pid), start=start, host=host)

    def __str__(self) -> str:
        return f"{self.pid}.{self.start}@{self.host}"

    @property
    def local(self) -> bool:
        """Whether it can be looked at from here."""
        return self.host == socket.gethostname()

    def alive(self) -> bool:
        """Say whether it still runs; a zombie does not. For a process of another machine the answer is no."""
        return self.local and _start(self.pid) == self.start


def _start(pid: int) -> str | None:
    """Return when a process started, in the system's own words; None when it has ended."""
    if _PROC.joinpath("self/stat").exists():
        try:
            stat = (_PROC / str(pid) / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # Fields after the command's name, which is in brackets and may itself hold brackets and blanks: proc(5).
        state, *rest = stat.rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]
    listing = subprocess.run(  # macOS
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    status, *started = listing.stdout.split()[:6] or ["Z"]
    return None if status.startswith("Z") else "_".join(started)

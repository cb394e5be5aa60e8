"""How a start of a run can end: kinds, exit codes, and the file that says so."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from multimae.record.files import read_json, write_json
from multimae.record.text import printable

ExitKind = Literal[
    "finished",
    "preempted",
    "timeout",
    "paused",
    "nan",
    "data",
    "gpu_oom",
    "host_oom",
    "disk_full",
    "config",
    "superseded",
    "vanished",
    "error",
]
EXIT_KINDS: tuple[ExitKind, ...] = get_args(ExitKind)
EXIT_CODES: dict[ExitKind, int] = {"finished": 0, "paused": 0, "preempted": 75, "config": 2, "data": 3}
"""The exit codes of kinds; that of any other is 1."""

_SAID: Mapping[ExitKind, re.Pattern[str]] = MappingProxyType(
    {
        "gpu_oom": re.compile(r"CUDA(?: error:)? out of memory|HIP out of memory|STATUS_ALLOC_FAILED"),
        "host_oom": re.compile(
            r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|std::bad_alloc|Cannot allocate memory"
            r"|Unable to allocate .* for an array|Insufficient memory|shared memory \(shm\)|out of shared memory"
            r"|DataLoader worker .* killed by signal: Killed|oom[ _-]kill|Out of memory: Killed|OUT_OF_MEMORY",
            re.IGNORECASE,
        ),
        "disk_full": re.compile(r"No space left on device|Disk quota exceeded|database or disk is full"),
    }
)
"""What torch, numpy, OpenCV, h5py, SQLite, Slurm and the kernel say, mostly as a plain RuntimeError or on stderr."""


def kind_said_by(words: str) -> ExitKind | None:
    """Name the kind of failure that words of other software stand for; None where they are nobody's we know."""
    return next((kind for kind, pattern in _SAID.items() if pattern.search(words)), None)


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an attempt ended: `time` in unix seconds, 0 where it was not noted."""

    kind: ExitKind
    message: str
    exit_code: int
    time: float = 0.0

    @classmethod
    def of(cls, kind: ExitKind, *, message: str, time: float) -> "Exit":
        """Return the ending of a kind with the exit code that belongs to it."""
        return cls(kind=kind, message=printable(message), exit_code=EXIT_CODES.get(kind, 1), time=time)

    @classmethod
    def read(cls, path: Path) -> "Exit | None":
        """Read exit.json; None where the attempt has not said how it ended. A kind that is not known is an error."""
        record = read_json(path)
        return None if record is None else cls.from_plain(record)

    @classmethod
    def from_plain(cls, record: dict[str, Any]) -> "Exit":
        """Return the ending that a JSON object describes."""
        named = record.get("kind")
        kind = cast(ExitKind, named) if named in EXIT_KINDS else "error"
        code = int(record.get("exit_code", EXIT_CODES.get(kind, 1)))
        message = printable(str(record.get("message", "")))
        return cls(kind=kind, message=message, exit_code=code, time=float(record.get("time", 0.0)))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, asdict(self))

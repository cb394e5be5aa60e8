"""The append-only record of one attempt: a JSON object a line, numbered, mirrored into MLflow by somebody else."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Spool:
    """Append events of one attempt to `spool/<attempt>.jsonl`; a whole line is one write, so a kill tears at most one.

    Only rank 0 of a distributed job writes: the others hold a spool whose path is None, which drops everything.
    """

    def __init__(self, path: Path | None) -> None:
        self._sequence = 0
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event; numbers that are not finite become null, since JSON has no name for them."""
        if self._file is None:
            return
        self._sequence += 1
        event = {"seq": self._sequence, "time": time.time(), "kind": kind, **_finite(fields)}
        os.write(self._file, (json.dumps(event, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))

    def metrics(self, *, step: int, values: Mapping[str, float]) -> None:
        """Append metric values that hold after `step` optimizer steps."""
        self.write("metrics", step=step, values=dict(values))

    def sync(self) -> None:
        """Force what was written to disk; called with every checkpoint."""
        if self._file is not None:
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close; further writes are dropped."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

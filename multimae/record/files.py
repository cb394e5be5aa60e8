"""Writing that survives a kill at any moment, and reading of files that may not be there."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

Survives = Literal["power cut", "kill"]


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, survives: Survives = "power cut") -> None:
    """Let `write` fill a temporary file beside `path`, then rename it into place; readers see all of it or nothing.

    What is only to survive a kill is not forced to disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            if survives == "power cut":
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # The system names no file where a disk is full.
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if survives == "power cut":
        _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all.

    The bytes of a file's name that is no UTF-8 are spelt out, which in JSON reads back as the same name.
    """
    write_atomically(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no file, or nothing whole in it."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

"""Load a Python file by its path, whoever wrote it."""

from pathlib import Path
from types import ModuleType

from experiments.plan.errors import UsageError
from multimae.own_files import OwnFileError, load_file


def load_module(path: Path, *, kind: str) -> ModuleType:
    """Execute the file at `path` as a module; what is wrong with it is a wrong setting."""
    try:
        return load_file(path, kind=kind)
    except OwnFileError as error:
        raise UsageError(str(error)) from error

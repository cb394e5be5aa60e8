"""Load a Python file by its path, whoever wrote it."""

import importlib.util
from pathlib import Path
from types import ModuleType

from experiments.plan.errors import UsageError


def load_module(path: Path, *, kind: str) -> ModuleType:
    """Execute the file at `path` as a module named after its kind and stem."""
    spec = importlib.util.spec_from_file_location(f"{kind}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

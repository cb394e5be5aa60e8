"""Load a Python file that a user wrote; whatever is wrong with it is one line that names the file and the line."""

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from multimae.record.nearest import unknown

_FOLDERS: set[Path] = set()
"""Where modules of users were imported from in this process."""


class OwnFileError(ValueError):
    """A user's Python file is not there or cannot be executed."""


def load_file(path: Path, *, kind: str) -> ModuleType:
    """Execute the file at `path` as a module named after its kind and stem; modules beside it can be imported."""
    if not path.is_file():
        beside = [str(file) for file in sorted(path.parent.glob("*.py"))] if path.parent.is_dir() else []
        raise OwnFileError(unknown(f"file of a {kind}", str(path), beside))
    name = f"{kind}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OwnFileError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their types up
    try:
        with _importable(path.resolve().parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise OwnFileError(f"{_place(error, path=path)}: {type(error).__name__}: {_words(error)}") from error
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules in a folder be imported, the last of all: none of them hides an installed one.

    Those of another such folder that are called alike are forgotten.
    """
    for file in folder.glob("*.py"):
        loaded = getattr(sys.modules.get(file.stem), "__file__", None)
        if loaded and Path(loaded).parent in _FOLDERS - {folder}:
            del sys.modules[file.stem]
    _FOLDERS.add(folder)
    before = list(sys.path)
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path[:] = before  # not `remove`: the folder may be there already, the checkout's own at the front


def _place(error: BaseException, *, path: Path) -> str:
    """Return file and line of what went wrong: the innermost place in the file and those beside it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    folder = path.resolve().parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve().parent == folder]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(path)


def _words(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(text.split())

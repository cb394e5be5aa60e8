"""The kinds of task, each a file of this folder with `KIND`, found by the file's name."""

from pathlib import Path
from typing import Any

from benchmarks.kind import TaskKind
from multimae.named import module_named, modules_in

FOLDER = Path(__file__).parent


def kind(name: str) -> TaskKind[Any]:
    """Return the kind of that name; an unknown one is an error that lists the known ones, nearest first."""
    found: TaskKind[Any] = module_named(name, package=__name__, folder=FOLDER, what="kind of task").KIND
    return found


def known_scopes() -> tuple[str, ...]:
    """Name what `--set SCOPE.FIELD=VALUE` may call the tasks of one or several kinds."""
    return tuple(dict.fromkeys(kind(name).scope for name in modules_in(FOLDER)))

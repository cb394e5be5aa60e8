"""Whose a folder of the runs folder is, and whether a command may write there: asked before anything is written."""

import os
from pathlib import Path
from typing import Literal

from experiments.plan.distinct import check_folder_name
from experiments.plan.errors import PreconditionError, UsageError
from multimae.record.paths import SuiteDir
from multimae.record.sweep import Sweep


def check_runs_dir(runs_dir: Path, *, to: Literal["read", "write"]) -> None:
    """Raise PreconditionError unless the runs folder is one, or can be made, and may be read, or read and written."""
    place = runs_dir.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise PreconditionError(f"{place} is no folder, so that no runs can be kept in {runs_dir}; pass --runs-dir DIR")
    wanted = {"read": ("read", os.R_OK | os.X_OK), "write": ("written", os.R_OK | os.W_OK | os.X_OK)}
    done, access = wanted[to]
    if not os.access(place, access):
        raise PreconditionError(f"{place} may not be {done} by this user; pass another --runs-dir DIR")


def require_runs_dir(runs_dir: Path) -> Path:
    """Return a runs folder that is to be there already; raise PreconditionError where it is none or cannot be read."""
    if not os.path.lexists(runs_dir):
        raise PreconditionError(f"there is no runs folder {runs_dir}; pass the one of your sweeps as --runs-dir DIR")
    check_runs_dir(runs_dir, to="read")
    return runs_dir


def require_folder_name(what: str, name: str) -> str:
    """Return a name that can be a folder's; raise UsageError for one that would lie elsewhere or cannot be shown."""
    try:
        check_folder_name(name, what=what)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return name


def check_free_for_suite(suite_dir: Path, *, source: Path | None) -> None:
    """Raise UsageError where a suite's folder is a search's, or that of a suite from another file.

    `source` is the file that describes the suite, None of one that ships.
    """
    if SuiteDir(suite_dir).search.exists():
        raise UsageError(
            f"{suite_dir} is the folder of a search of that name; give the suite another name, or pass another "
            "--runs-dir"
        )
    other = source_of(suite_dir)
    if source and other and other != source.resolve() and other.is_file():
        raise UsageError(
            f"{suite_dir} holds the suite that {other} describes, and {source} calls its suite {suite_dir.name!r}, "
            "too: give it another name or pass another --runs-dir"
        )


def check_free_for_search(folder: Path) -> None:
    """Raise UsageError where a search's folder is a suite's."""
    if SuiteDir(folder).sweep.exists() and not SuiteDir(folder).search.exists():
        raise UsageError(
            f"{folder} is the folder of a suite of that name; name the search otherwise: --name {folder.name}-search"
        )


def source_of(suite_dir: Path) -> Path | None:
    """Return the file that describes the suite of a folder, if that is not one that ships."""
    sweep = Sweep.read(suite_dir)
    return Path(sweep.source) if sweep and sweep.source else None

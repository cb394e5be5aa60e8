"""Where a study is kept: Optuna's journal in the search's folder, or a database; what is wrong with one, in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend

from experiments.plan.databases import PACKAGES
from experiments.plan.errors import PreconditionError, UsageError
from multimae.record.paths import SuiteDir
from reports.read.search_trials import DamagedStudyError, require_readable

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

WANTED = "wanted a database's URL, such as postgresql+psycopg2://user@host:5432/database"


def open_storage(folder: Path, *, url: str | None) -> BaseStorage:
    """Return the journal in `folder`, or the database at `url`, created if need be."""
    if url is None:
        folder.mkdir(parents=True, exist_ok=True)
        journal = SuiteDir(folder).journal
        try:
            require_readable(journal)
        except DamagedStudyError as error:
            raise PreconditionError(str(error)) from error
        _drop_torn_line(journal)
        return JournalStorage(JournalFileBackend(str(journal)))
    address = _address(url)
    _dialect_of(address)
    try:
        return get_storage(url)
    except Exception as error:  # whatever the database's own package raises
        words = _words_of_database(error) or error
        raise PreconditionError(
            f"no study can be kept at {address}: {words}\nleave --storage out to keep it in the runs folder"
        ) from error


def check_storage(url: str | None) -> None:
    """Raise an error a user can act on unless a study could be kept there, as far as its address tells."""
    if url is not None:
        _dialect_of(_address(url))


def _dialect_of(address: "URL") -> None:
    try:
        address.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        package = PACKAGES.get(str(error.name), error.name)
        raise PreconditionError(f"{address} needs a package that is not here: pip install '{package}'") from error


def _drop_torn_line(journal: Path) -> None:
    """Cut off the last line of a driver that was killed, or had no space, while it wrote: the next would join it."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


@contextmanager
def explain_lost_database() -> Iterator[None]:
    """Say in words that a database has failed; the study in it is whole, as after any end of a driver."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ImportError) and "DB access module" in str(error):  # as Optuna says it
            packages = " or ".join(f"'{package}'" for package in PACKAGES.values())
            raise PreconditionError(
                f"the study is in a database, whose Python package is not here: pip install {packages}, as its URL says"
            ) from error
        words = _words_of_database(error)
        if words is None:
            raise
        raise PreconditionError(
            f"the study's database has failed: {words}\ntrainings continue; repair it and give the same command again"
        ) from error


def _words_of_database(error: Exception) -> str | None:
    from sqlalchemy.exc import DBAPIError

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return str(cause.orig).strip() if isinstance(cause, DBAPIError) else None


def _address(url: str) -> "URL":
    # Takes half a second to import, which a search in a journal need not wait for.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
        address.get_dialect()
    except (ArgumentError, ValueError) as error:  # the latter where a port is no number
        raise UsageError(f"--storage: {error}; {WANTED}") from error
    if address.password is not None or "password" in address.query:
        raise UsageError(
            f"--storage {address.set(query={})} has a password in it, which would be written into the runs folder "
            "and to MLflow: leave it out; PostgreSQL's client takes it from ~/.pgpass or PGPASSWORD"
        )
    return address

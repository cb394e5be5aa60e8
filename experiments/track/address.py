"""Where MLflow's records go: an address that cannot work is refused before anything is trained."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import url2pathname

from experiments.plan.databases import missing_package
from experiments.plan.errors import PreconditionError, UsageError, unknown

VARIABLE = "MLFLOW_TRACKING_URI"
OWN = ""
"""The store in the runs folder."""
_SERVED = ("http", "https")
_DATABRICKS = ("databricks", "databricks-uc", "uc")
WANTED = (
    "wanted http://host:5000, sqlite:////folder/mlflow.db, postgresql://..., or none for a store in the runs folder"
)


def tracking_uri(chosen: str | None = None) -> str:
    """Return the address that was chosen, else the variable's, else OWN."""
    return chosen or os.environ.get(VARIABLE, "").strip() or OWN


def is_served(uri: str) -> bool:
    """Say whether a server takes the records, and with them the files."""
    return uri.partition(":")[0] in (*_SERVED, *_DATABRICKS)


def without_password(uri: str) -> str:
    """Return an address as it may be shown."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "the address"
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=place, query="")) if place or parts.query else uri


def require_possible(uri: str) -> None:
    """Raise where no record could ever be written: UsageError for the address, PreconditionError for the machine.

    A server that does not answer now may later.
    """
    if uri == OWN:
        return
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{VARIABLE} {without_password(uri)} is no address ({error}); {WANTED}") from error
    if uri.partition(":")[0] in _DATABRICKS:
        return
    family = parts.scheme.partition("+")[0]
    checks: Mapping[str, Callable[[str, SplitResult], None]] = MappingProxyType(
        {
            **dict.fromkeys(_SERVED, _check_server),
            **dict.fromkeys(("postgresql", "mysql", "mssql"), _check_database),
            **dict.fromkeys(("", "file"), _check_folder),
            "sqlite": _check_sqlite,
        }
    )
    if family not in checks:
        raise UsageError(
            f"{VARIABLE}: {unknown('kind of address', parts.scheme, [*filter(None, checks), *_DATABRICKS])}; {WANTED}"
        )
    checks[family](uri, parts)


def _check_server(uri: str, parts: SplitResult) -> None:
    if not parts.hostname:
        raise UsageError(f"{VARIABLE} {uri} names no host; {WANTED}")


def _check_database(uri: str, parts: SplitResult) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(uri)
        package = missing_package(address)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{VARIABLE} {without_password(uri)}: {error}; {WANTED}") from error
    if package:
        raise PreconditionError(
            f"{VARIABLE} {without_password(uri)} needs a package that is not here: pip install '{package}'"
        )


def _check_sqlite(uri: str, parts: SplitResult) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(uri).database
    except ArgumentError as error:
        raise UsageError(f"{VARIABLE} {uri}: {error}; {WANTED}") from error
    if not database or database == ":memory:":
        raise UsageError(f"{VARIABLE} {uri} names no file, so nothing would be kept; {WANTED}")
    path = Path(database).absolute()
    if path.is_dir():
        raise PreconditionError(f"{VARIABLE} {uri}: {path} is a folder, wanted a file or a new name")
    _require_folder(path.parent, uri=uri)


def _check_folder(uri: str, parts: SplitResult) -> None:
    from mlflow import environment_variables

    allowed = getattr(environment_variables, "MLFLOW_ALLOW_FILE_STORE", None)
    if allowed is not None and not allowed.get():
        raise UsageError(f"{VARIABLE} {uri} is a folder, which this MLflow no longer writes into; {WANTED}")
    _require_folder(Path(url2pathname(parts.path) if parts.scheme else uri).absolute(), uri=uri)


def _require_folder(folder: Path, *, uri: str) -> None:
    """Raise unless a folder is there or could be made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise PreconditionError(f"{VARIABLE} {uri}: {existing} is a file, wanted a folder")
    if not os.access(existing, os.W_OK):
        raise PreconditionError(f"{VARIABLE} {uri}: {existing} may not be written to")

"""The MLflow store, opened by one process at a time; MLflow takes seconds to import and is imported only then.

A store in a database has its artefacts in `runs/mlartifacts`, under the location `mlflow-artifacts:/<suite>`: MLflow's
UI, started in the runs folder, serves them from there, and the folder can be moved as a whole.
"""

import contextlib
import logging
import math
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from experiments.track.address import OWN, is_served
from multimae.record.events import Point
from multimae.record.text import printable

MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
MAX_KEY_LENGTH = 250
ARTIFACTS = "mlartifacts"
LOCKED_S = 5.0
"""How long to wait for another writer of a database of SQLite."""
PATIENCE: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }
)
"""How long to wait for a server, unless the user has said so: MLflow's own is minutes a call."""
_TOKEN = "ingest_token"
_NOT_IN_KEYS = re.compile(r"[^\w\-. /:]")


def local_uri(runs_dir: Path) -> str:
    """Return the tracking URI of the store in a runs folder, whatever characters its path has."""
    return sqlite_uri(database_in(runs_dir))


def database_in(runs_dir: Path) -> Path:
    """Return the database in a runs folder."""
    return runs_dir.resolve() / "mlflow.db"


def sqlite_uri(path: Path) -> str:
    """Return the URI of a database's file."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


class Store:
    """The experiment of one suite."""

    def __init__(self, client: Any, *, experiment_id: str, artifacts_dir: Path | None) -> None:
        """`artifacts_dir` is None where a server takes the artefacts."""
        self._client = client
        self._experiment_id = experiment_id
        self._artifacts_dir = artifacts_dir

    @classmethod
    def open(cls, *, uri: str, runs_dir: Path, suite: str) -> Self:
        """Open the store, and make database and experiment if need be; OWN is that in the runs folder."""
        # Set before the import, which is what would start the telemetry. The other: a line a run, in the live table.
        os.environ.update(
            MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true"
        )
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if uri == OWN:
            _create_database(database_in(runs_dir))
        served = is_served(uri)
        path = database_in(runs_dir) if uri == OWN else _sqlite_file(uri)
        if path is not None:
            _require_usable(path)
        with _no_folder_for(sqlite_uri(path) if path else ""):
            client = MlflowClient(tracking_uri=local_uri(runs_dir) if uri == OWN else uri)
            experiment = client.get_experiment_by_name(suite)
        if experiment is None:
            location = None if served else f"mlflow-artifacts:/{suite}"
            experiment_id = client.create_experiment(suite, artifact_location=location)
        else:
            experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                client.restore_experiment(experiment_id)
        artifacts_dir = None if served else runs_dir / ARTIFACTS / suite
        return cls(client, experiment_id=experiment_id, artifacts_dir=artifacts_dir)

    def find(self, token: str) -> str | None:
        """Return the id of the run created with `token`, which may have happened right before a kill."""
        found = self._client.search_runs([self._experiment_id], filter_string=f"tags.{_TOKEN} = '{token}'")
        return str(found[0].info.run_id) if found else None

    def create(self, *, name: str, token: str, started: float | None) -> str:
        """Create a run and return its id."""
        start_time = None if started is None else _milliseconds(started)
        run = self._client.create_run(self._experiment_id, start_time=start_time, run_name=name, tags={_TOKEN: token})
        return str(run.info.run_id)

    def has(self, run_id: str) -> bool:
        """Whether the run is there and nobody has deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def delete(self, run_id: str) -> None:
        """Delete a run and its artefacts, if it is there."""
        if self.has(run_id):
            self._client.delete_run(run_id)
        if self._artifacts_dir is not None:
            shutil.rmtree(self._artifacts_dir / run_id, ignore_errors=True)

    def log(
        self, run_id: str, *, points: Sequence[Point] = (), params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Add points, params and tags, in as many calls as MLflow's limits ask for."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(_key(point.name), point.value, _milliseconds(point.time), point.step) for point in points]
        for chunk in _chunks(metrics, size=MAX_METRICS):
            self._client.log_batch(run_id, metrics=chunk)
        entries = [Param(_key(name), _shortened(value, length=MAX_PARAM_LENGTH)) for name, value in params.items()]
        for chunk in _chunks(entries, size=MAX_PARAMS):
            self._client.log_batch(run_id, params=chunk)
        labels = [RunTag(_key(name), _shortened(value, length=MAX_TAG_LENGTH)) for name, value in tags.items()]
        for chunk in _chunks(labels, size=MAX_PARAMS):
            self._client.log_batch(run_id, tags=chunk)

    def log_artifact(self, run_id: str, *, name: str, path: Path) -> None:
        """Add a file under `name`, which may hold slashes; one of that name is replaced."""
        if self._artifacts_dir is None:
            folder, _, _ = name.rpartition("/")
            self._client.log_artifact(run_id, str(path), artifact_path=folder or None)
            return
        target = self._artifacts_dir / run_id / "artifacts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def set_status(self, run_id: str, *, status: str, ended: float | None) -> None:
        """Say how the run is doing."""
        if status in ("RUNNING", "SCHEDULED"):
            self._client.update_run(run_id, status=status)
        else:
            end_time = None if ended is None else _milliseconds(ended)
            self._client.set_terminated(run_id, status=status, end_time=end_time)


def _create_database(path: Path) -> None:
    """Create the database whole or not at all: one that a kill left half migrated can never be opened again."""
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    uri = sqlite_uri(fresh)
    with _no_folder_for(uri):
        store = SqlAlchemyStore(uri, "mlflow-artifacts:/")
    store.engine.dispose()
    fresh.replace(path)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a database of SQLite; None for any other address."""
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    return Path(str(make_url(uri).database)).absolute()


def _require_usable(path: Path) -> None:
    """Raise sqlite3's error where a database is locked, damaged or may not be written: MLflow would try for an hour."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


@contextlib.contextmanager
def _no_folder_for(uri: str) -> Iterator[None]:
    """Remove the folders that MLflow makes because it takes the text of a URI, quoted as it is, for a path."""
    taken_for = Path(uri.removeprefix("sqlite:///")).parent
    made = [folder for folder in (taken_for, *taken_for.parents) if not folder.exists()] if uri else []
    yield
    for folder in made:
        with contextlib.suppress(OSError):  # somebody else uses it by now
            folder.rmdir()


def _chunks(items: Sequence[Any], *, size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _key(name: str) -> str:
    """Write a name as MLflow allows it: few characters, and as a path that is the only way to write it."""
    return "/".join(_NOT_IN_KEYS.sub("_", part) for part in name.split("/") if part.strip("."))[:MAX_KEY_LENGTH] or "_"


def _shortened(value: str, *, length: int) -> str:
    value = printable(value)
    return value if len(value) <= length else value[: length - 1] + "…"


def _milliseconds(seconds: float) -> int:
    return math.floor(seconds * 1000)

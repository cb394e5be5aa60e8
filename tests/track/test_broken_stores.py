"""Tracking costs nothing but tracking: a store that cannot be written is said in a line, in time, and caught up."""

import http.server
import os
import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from experiments.drive.tracker import Tracker
from experiments.plan.errors import PreconditionError, UsageError
from experiments.track import command
from experiments.track.address import require_possible, tracking_uri, without_password
from experiments.track.ingest import TrackingError, ingest
from multimae.record.state import run_state
from tests.track.test_tracking import SUITE, A, children, empty_database, finish, plan, runs, submitted

__all__ = ["empty_database", "runs"]
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def finished(runs: Path, empty_database: Path) -> Path:
    plan(runs, A)
    finish(submitted(runs, A))
    return runs


def locked(database: Path) -> sqlite3.Connection:
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


def damaged(database: Path) -> None:
    database.write_bytes(b"no database at all, but long enough to look at" * 100)


def newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from2030'")


def a_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (locked, "database is locked"),
        (damaged, "file is not a database"),
        (newer, "from2030"),
        (a_folder, "unable to open database file"),
    ],
)
def test_a_broken_database_is_said_and_caught_up(
    finished: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[Path], object], said: str
) -> None:
    monkeypatch.setattr("experiments.track.store.LOCKED_S", 0.2)
    database = finished / "mlflow.db"
    database.write_bytes(empty_database.read_bytes())
    held = breaks(database)
    began = time.monotonic()
    with pytest.raises(TrackingError, match=said) as caught:
        ingest(finished, SUITE)
    assert time.monotonic() - began < 20
    assert "\n" not in str(caught.value)
    assert command.main(["sync", "--runs-dir", str(finished)]) == 3
    if isinstance(held, sqlite3.Connection):
        held.close()
    if database.is_dir():
        database.rmdir()
    database.write_bytes(empty_database.read_bytes())
    ingest(finished, SUITE)
    assert children(finished)[A].info.status == "FINISHED"


def test_a_full_disk_is_a_failure_of_tracking(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28), "mlflow.json")

    with monkeypatch.context() as patched:
        patched.setattr("experiments.track.mirror.write_json", full)
        with pytest.raises(TrackingError, match="No space left on device"):
            ingest(finished, SUITE)
    ingest(finished, SUITE)
    assert children(finished)[A].info.status == "FINISHED"


class Broken(http.server.BaseHTTPRequestHandler):
    """A server that has only errors to offer."""

    def do_GET(self) -> None:
        self.send_error(500)

    def do_POST(self) -> None:
        self.send_error(500)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes every call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield f"http://127.0.0.1:{made.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    return "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("address", "said"), [("refusing", "refused"), ("server", "500"), ("silent", "not answered|timed out")]
)
def test_a_server_that_is_of_no_use_costs_seconds(
    finished: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, address: str, said: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue(address))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    require_possible(tracking_uri())
    states = {A: run_state(finished / SUITE / A, now=time.time())}
    began = time.monotonic()
    words = Tracker(finished / SUITE, hear=print).begin_last(states).wait()
    assert time.monotonic() - began < 60
    assert re.search(said, words), words


def test_a_mirror_that_hangs_is_ended_in_time(finished: Path, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    began = time.monotonic()
    assert Tracker(finished / SUITE, hear=print).begin_last({}).wait(limit_s=1) == "MLflow has not answered within 1 s"
    assert time.monotonic() - began < 10


def test_a_failing_round_is_said_once_and_holds_nobody_up(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://")
    monkeypatch.setattr("experiments.drive.tracker.FIRST_AFTER_S", 0.0)
    monkeypatch.setattr("experiments.drive.tracker.EVERY_S", 0.0)
    monkeypatch.setattr("experiments.drive.tracker.AT_MOST_EVERY_S", 0.1)
    heard: list[str] = []
    tracker = Tracker(finished / SUITE, hear=heard.append)
    began, longest = time.monotonic(), 0.0
    while tracker._num_failed < 2 and time.monotonic() - began < 60:
        before = time.monotonic()
        tracker.tick({})
        longest = max(longest, time.monotonic() - before)
        time.sleep(0.02)
    assert len(heard) == 1
    assert heard[0].startswith("tracking: nothing://: ")
    assert longest < 1.0


@pytest.mark.parametrize(
    ("uri", "error", "said"),
    [
        ("htp://host:5000", UsageError, "did you mean http"),
        ("http://", UsageError, "names no host"),
        ("http://host:port", UsageError, "no address"),
        ("http://[host", UsageError, "no address"),
        ("sqlite://", UsageError, "names no file"),
        ("sqlite:///{tmp}", PreconditionError, "is a folder"),
        ("sqlite:///{tmp}/file/mlflow.db", PreconditionError, "file is a file"),
        ("{tmp}/mlruns", UsageError, "no longer writes into"),
        ("file:///{tmp}/file", UsageError, "no longer writes into"),
        ("postgresql+psycopg9://host/name", UsageError, "wanted"),
        ("mysql://host/name", PreconditionError, "pip install 'mysqlclient'"),
    ],
)
def test_an_address_that_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, error: type[Exception], said: str
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    (tmp_path / "file").touch()
    with pytest.raises(error, match=said):
        require_possible(uri.format(tmp=tmp_path))


@pytest.mark.parametrize("uri", ["", "http://host:5000", "databricks", "sqlite:///{tmp}/new/mlflow.db"])
def test_an_address_that_may_work_is_not(tmp_path: Path, uri: str) -> None:
    require_possible(uri.format(tmp=tmp_path))


def test_a_folder_that_mlflow_is_told_to_accept_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    require_possible(str(tmp_path / "mlruns"))
    (tmp_path / "file").touch()
    with pytest.raises(PreconditionError, match="is a file"):
        require_possible(f"file://{tmp_path}/file")


def test_a_password_is_not_shown() -> None:
    assert without_password("http://me:hunter2@host:5000/x") == "http://host:5000/x"
    assert "hunter2" not in without_password("postgresql://me:hunter2@host/x?password=hunter2")

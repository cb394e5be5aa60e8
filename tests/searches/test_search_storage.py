"""Where a study is kept: databases besides the journal, and what is said where one cannot be."""

import math
import socket
import sqlite3
import sys
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from experiments.plan.errors import PreconditionError, UsageError
from experiments.searches.space import Dimension, Space
from experiments.searches.storage import explain_lost_database, open_storage
from experiments.searches.study import Objective, StudyRecord, open_study

SPACE = Space(name="one", dimensions={"lr": Dimension(distribution=FloatDistribution(1e-5, 1e-1, log=True))})
BEST = Objective(names=("val_miou",), directions=("maximize",))


def study_at(url: str | None, folder: Path) -> StudyRecord:
    return open_study(
        folder, name="s", storage=url, space=SPACE, objective=BEST, sampler="tpe", seed=0, settings={"epochs": 5}
    )


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_study_in_a_database_is_the_one_in_the_journal(tmp_path: Path) -> None:
    chosen = []
    for url in (None, f"sqlite:///{tmp_path}/study.db"):
        for _ in range(3):  # every trial by another process
            record = study_at(url, tmp_path / "folder")
            asked = record.ask()
            diverged = asked.number == 2
            record.report(asked.number, scores={10: 1.0, 20: math.nan if diverged else 2.0})
            record.tell(asked.number, values=[math.nan if diverged else float(asked.number)])
        read = study_at(url, tmp_path / "folder")
        best = read.best()
        assert best is not None
        assert best.number == 1
        chosen.append([(trial.params, trial.value, trial.user_attrs) for trial in read.trials()])
        assert read.scores()[2] == {10: 1.0, 20: -math.inf}
    assert chosen[0] == chosen[1]
    assert chosen[0][2][1] == -math.inf
    assert (tmp_path / "folder" / "study.journal").exists()


@pytest.mark.parametrize(
    "url", ["study", "redis://here/0", "postgresl://here/study", "postgresql+psycopg9://here/s", "mysql://here:port/s"]
)
def test_what_is_no_database_is_said_with_an_example(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"wanted a database's URL, such as postgresql\+psycopg2://"):
        study_at(url, tmp_path)


@pytest.mark.parametrize("address", ["me:hunter2@here/study", "me@here/study?password=hunter2"])
def test_a_password_is_neither_taken_nor_shown(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="PGPASSWORD") as caught:
        open_storage(tmp_path, url=f"postgresql+psycopg2://{address}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("postgresql+psycopg2://me@here/study", "psycopg2", "psycopg2-binary"),
        ("postgresql+psycopg://me@here/study", "psycopg", r"psycopg\[binary\]"),
        ("mysql://me@here/study", "MySQLdb", "mysqlclient"),
    ],
)
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(PreconditionError, match=f"pip install '{package}'"):
        open_storage(tmp_path, url=url)


def test_a_server_that_does_not_answer_is_said_in_its_own_words(tmp_path: Path, closed_port: int) -> None:
    pytest.importorskip("psycopg2", reason="psycopg2 is not here")
    with pytest.raises(PreconditionError, match="Connection refused") as caught:
        open_storage(tmp_path, url=f"postgresql+psycopg2://me@127.0.0.1:{closed_port}/study")
    assert "leave --storage out" in str(caught.value)
    assert "sqlalche.me" not in str(caught.value)


def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match=r"no study can be kept at sqlite:///.*unable to open database file"):
        open_storage(tmp_path, url=f"sqlite:///{tmp_path}/nowhere/study.db")


def test_a_database_lost_on_the_way_is_said(tmp_path: Path) -> None:
    record = study_at(f"sqlite:///{tmp_path}/study.db", tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("DROP TABLE trials")
    database.close()
    with pytest.raises(PreconditionError, match="has failed: no such table: trials"), explain_lost_database():
        record.ask()


def test_a_reader_without_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(PreconditionError, match="'psycopg2-binary'"), explain_lost_database():
        optuna.load_study(study_name="s", storage="postgresql+psycopg2://somebody@127.0.0.1/searches")


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), explain_lost_database():
        _ = 1 / 0


@pytest.mark.parametrize("damage", [b"garbage\n", b"\xff\xfe\n", b"{}\n", b"[]\n", b'{"op_code": "x"}\n'])
def test_a_damaged_journal_is_a_line_that_names_its_own(tmp_path: Path, damage: bytes) -> None:
    study_at(None, tmp_path).ask()
    journal = tmp_path / "study.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + damage + whole)
    number = len(whole.splitlines()) + 1
    with pytest.raises(PreconditionError, match=rf"study\.journal: line {number} is damaged"):
        study_at(None, tmp_path)


def test_a_last_line_that_a_kill_has_torn_is_no_damage(tmp_path: Path) -> None:
    study_at(None, tmp_path).ask()
    journal = tmp_path / "study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_co')
    assert len(study_at(None, tmp_path).trials()) == 1


def test_a_damaged_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(PreconditionError, match="file is not a database"):
        study_at(f"sqlite:///{tmp_path}/study.db", tmp_path)

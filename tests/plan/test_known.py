"""Runs that are in a folder already: those of the release before, and those whose change of code a user accepts."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.plan import known, planning
from experiments.plan.fingerprint import digest
from experiments.plan.known import KnownRuns, tables_of_schema_1
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.rundirs import prepare, standing_of_scores
from experiments.plan.settings import resolve_recipes
from experiments.plan.show import standings_of
from experiments.plan.suite import expand, load_suite
from experiments.plan.why import kept_scores
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.result import Result
from multimae.record.run import Run

RECORDED = Path(__file__).parents[1] / "made" / "runs_of_schema_1"
PRETRAINING = "nyuv2-pretrain-scratch-rgb+depth+semseg-s0-cfce260d"
DEPTH = "nyuv2-depth-pretrain-rgb-s0-c09fa9e9"


def recorded(key: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RECORDED / key / "run.json").read_text())
    return record


@pytest.fixture
def suite_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the last release of schema 1 left, on a machine with the packages of then.

    The library of today stands for the first release after it, which trains and scores as that one did.
    """
    shutil.copytree(RECORDED, tmp_path / "nyuv2")
    environment = recorded(PRETRAINING)["digest"]["environment"]
    monkeypatch.setattr(planning, "environment", lambda: environment)
    today: dict[str, str] = {}
    for planned in plan():
        today |= {**planned.parts["code"], **planned.scoring}
    tables = {"before": tables_of_schema_1()["before"], "after": today}
    monkeypatch.setattr(known, "tables_of_schema_1", lambda: tables)
    return tmp_path / "nyuv2"


def plan(*overrides: str, key_of: Any = planning.new_key) -> tuple[PlannedRun, ...]:
    """Plan the recorded pre-training and transfer on the data they were trained on."""
    suite = load_suite("nyuv2")
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=overrides)
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=("pretrain",))
    fingerprint = recorded(PRETRAINING)["digest"]["data"]["fingerprint"]
    data = Data(name="rooms", root=Path("/data/rooms"), fingerprint=fingerprint, num_train=240, num_test=80)
    planned = make_plan(runs, data={"nyuv2": data}, key_of=key_of)
    return tuple(one for one in planned if one.run.task.kind in ("pretraining", "depth"))


def keys(plan: tuple[PlannedRun, ...]) -> tuple[str, ...]:
    return tuple(planned.key for planned in plan)


def test_runs_of_the_release_before_are_found_under_their_keys(suite_dir: Path) -> None:
    assert keys(plan()) != (PRETRAINING, DEPTH)
    found = plan(key_of=KnownRuns(suite_dir=suite_dir).key_of)
    assert keys(found) == (PRETRAINING, DEPTH)
    assert found[1].depends_on == (PRETRAINING,)
    assert {standing_of_scores(planned, suite_dir=suite_dir) for planned in found} == {"current"}


def test_found_runs_are_written_in_the_schema_of_now_and_stay(suite_dir: Path) -> None:
    rows = {key: json.loads((suite_dir / key / "result.json").read_text())["rows"] for key in (PRETRAINING, DEPTH)}
    found = plan(key_of=KnownRuns(suite_dir=suite_dir).key_of)
    for planned in found:
        prepare(planned, suite_dir=suite_dir)
        run, result = Run.of(suite_dir / planned.key), Result.read(suite_dir / planned.key)
        assert result is not None
        assert (run.schema, run.kind, result.schema) == (2, planned.run.task.kind, 2)
        assert run.digest == json.loads(json.dumps(planned.parts))
        assert [row.value for row in result.rows] == [row["value"] for row in rows[planned.key]]
        assert (suite_dir / planned.key / "config.py").exists()
    assert keys(plan(key_of=KnownRuns(suite_dir=suite_dir).key_of)) == (PRETRAINING, DEPTH)
    assert {standing_of_scores(planned, suite_dir=suite_dir) for planned in found} == {"current"}


@pytest.mark.parametrize("table", ["before", "after"])
def test_other_code_on_either_side_makes_them_new_unless_accepted(
    suite_dir: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    tables = dict(known.tables_of_schema_1())
    tables[table] = {**tables[table], "multimae.layers": "00000000"}
    monkeypatch.setattr(known, "tables_of_schema_1", lambda: tables)
    assert keys(plan(key_of=KnownRuns(suite_dir=suite_dir).key_of)) == keys(plan())
    accepting = plan(key_of=KnownRuns(suite_dir=suite_dir, accept_code=True).key_of)
    assert keys(accepting) == (PRETRAINING, DEPTH)
    prepare(accepting[0], suite_dir=suite_dir)
    result = Result.read(suite_dir / PRETRAINING)
    assert result is not None
    assert [one.changes for one in result.accepted] == [("code: that of a release which wrote schema 1",)]


def test_other_settings_or_data_make_them_new(suite_dir: Path) -> None:
    changed = plan("nyuv2-depth.lr=0.5", key_of=KnownRuns(suite_dir=suite_dir).key_of)
    assert changed[0].key == PRETRAINING
    assert changed[1].key != DEPTH


def with_other_code(plan: tuple[PlannedRun, ...], *, name: str) -> tuple[PlannedRun, Mapping[str, Any]]:
    """Return the first run and its parts as they were if a module had another meaning."""
    first = plan[0]
    return first, {**first.parts, "code": {**first.parts["code"], name: "00000000"}}


def test_accepted_code_keeps_a_finished_run_and_only_that(tmp_path: Path) -> None:
    (first, parts) = with_other_code(plan(), name="multimae.layers")
    prepare(first, suite_dir=tmp_path)
    name = first.run.name
    accepting = KnownRuns(suite_dir=tmp_path, accept_code=True)
    assert accepting.key_of(name, parts) != first.key  # it has no result to keep
    Result(key=first.key, suite="nyuv2", scoring=first.scoring, finished=1.0).write(tmp_path / first.key)
    assert KnownRuns(suite_dir=tmp_path).key_of(name, parts) != first.key
    assert accepting.key_of(name, parts) == first.key
    assert accepting.key_of(name, {**parts, "config": {}}) != first.key
    prepare(replace(first, parts=parts), suite_dir=tmp_path)
    result = Result.read(tmp_path / first.key)
    assert result is not None
    (accepted,) = result.accepted
    assert accepted.code == digest(parts["code"])[:8]
    assert accepted.changes[0].startswith("code.multimae.layers: ")
    # From now on it is the same run, without another word; a further change asks for one.
    assert KnownRuns(suite_dir=tmp_path).key_of(name, parts) == first.key
    _, again = with_other_code((replace(first, parts=parts),), name="multimae.losses")
    assert KnownRuns(suite_dir=tmp_path).key_of(name, again) != first.key


def test_scores_of_other_code_are_put_aside_if_there_are_weights_to_score(tmp_path: Path) -> None:
    (first, *_) = plan()
    prepare(first, suite_dir=tmp_path)
    folder = tmp_path / first.key
    Result(key=first.key, suite="nyuv2", scoring={"multimae.evaluation.depth": "0"}, finished=1.0).write(folder)
    assert standing_of_scores(first, suite_dir=tmp_path) == "lost"
    standings = standings_of([first], suite_dir=tmp_path)
    assert standings == {first.key: "old scores"}
    does, why = kept_scores([first], suite_dir=tmp_path, standings=standings)[first.key]
    assert does.startswith("kept with the scores of earlier code")
    assert "evaluation/depth.py changed" in why
    prepare(first, suite_dir=tmp_path)
    assert RunDir(folder).result.exists()
    last = CheckpointDir(RunDir(folder).checkpoints).last
    last.parent.mkdir()
    last.touch()
    assert standing_of_scores(first, suite_dir=tmp_path) == "outdated"
    prepare(first, suite_dir=tmp_path)
    assert not RunDir(folder).result.exists()
    assert len(list(RunDir(folder).earlier_scores.iterdir())) == 1

"""What a search says: its page, its winner, the winner as lines of Python that a suite can use."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from benchmarks.speed.simulated import SimulatedTrainings, height
from experiments import search
from experiments.plan.suite import Suite, Transfer
from experiments.searches.loop import Budget, Search
from experiments.searches.rungs import make_brackets
from experiments.searches.space import Dimension, Space
from experiments.searches.study import Objective, open_study
from reports.pages.search import make_search_report
from reports.read.search_trials import read_search
from tests.made.chromium import dump_dom

NAME = "nyuv2-semseg-rgb-two"
SPACE = Space(
    name="two",
    dimensions={
        "lr": Dimension(distribution=FloatDistribution(1e-5, 1e-1, log=True)),
        "layer_decay": Dimension(distribution=FloatDistribution(0.5, 1.0)),
    },
)


def searched(runs: Path, *, objective: tuple[str, ...] = ("val_miou",), trials: int = 18, **described: Any) -> Path:
    """A whole search on simulated trainings, one of which diverges, with search.json as the driver writes it."""
    pruner = "asha" if len(objective) == 1 else "none"
    (bracket,) = make_brackets("asha" if pruner == "asha" else "none", max_steps=90)
    directions = ("maximize", "minimize")[: len(objective)]
    record = open_study(
        runs / NAME,
        name=NAME,
        storage=None,
        space=SPACE,
        objective=Objective(names=objective, directions=directions),  # type: ignore[arg-type]
        sampler="random",
        seed=0,
        settings={},
    )
    record.enqueue({"lr": 2e-3, "layer_decay": 0.75}, recipe=True)
    trained = SimulatedTrainings(
        max_steps=90,
        rungs=bracket.rungs,
        num_objectives=len(objective),
        height=lambda values: math.nan if values["lr"] > 5e-2 else height(values),
    )
    loop = Search(
        record, trainings=trained, pruner=pruner, brackets=(bracket,), budget=Budget(trials=trials, parallel=3)
    )
    while loop.step():
        trained.tick()
    facts = {
        "schema": 1, "name": NAME, "suite": "nyuv2", "task": "nyuv2-semseg", "inputs": ["rgb"], "checkpoint": "scratch",
        "dataset": "rooms", "profile": "cpu", "size": "tiny", "objective": list(objective), "directions": directions,
        "space": {name: {"distribution": str(one.distribution), "when": {}} for name, one in SPACE.dimensions.items()},
        "own_values": {"lr": 2e-3, "layer_decay": 0.75}, "primary": {"metric": "miou", "protocol": "standard"},
        "sampler": "random", "pruner": pruner, "brackets": [list(bracket.rungs)], "trials": trials, "seed": 0,
        "search_seed": 0, "storage": "", "repeats": {}, **described,
    }  # fmt: skip
    (runs / NAME / "search.json").write_text(json.dumps(facts))
    return runs


def repeated(runs: Path, label: str, values: list[float]) -> list[str]:
    """Results of runs with fresh seeds, as `--repeat-best` leaves them."""
    keys = []
    for seed, value in enumerate(values, start=1):
        folder = runs / NAME / f"{label}-s{seed}"
        folder.mkdir(parents=True)
        row = {"split": "test", "protocol": "standard", "metric": "miou", "value": value}
        result = {"key": folder.name, "suite": NAME, "seed": seed, "rows": [row], "seconds": 360.0}
        (folder / "result.json").write_text(json.dumps(result))
        keys.append(folder.name)
    return keys


def test_the_page_names_the_winner_and_warns_that_validation_chose_it(tmp_path: Path) -> None:
    page = make_search_report(searched(tmp_path), NAME).read_text()
    best = read_search(tmp_path, NAME).best()
    assert best is not None
    assert f"Trial {best.number} is the best on held-out images" in page
    assert "--repeat-best 5" in page
    assert "never to be compared" in page
    assert page.count("<svg") == 5
    assert "share of the spread of val_miou at step 10 explained, 18 trials" in page  # few were let to the end
    rows = (tmp_path / NAME / "report" / "trials.csv").read_text().splitlines()
    assert rows[0] == "trial,state,lr,layer_decay,step_10,step_30,step_90,val_miou,hours,run"
    assert len(rows) == 19


def test_importances_wait_for_trials(tmp_path: Path) -> None:
    assert "importances need 4" in make_search_report(searched(tmp_path, trials=3), NAME).read_text()


def test_repeats_with_fresh_seeds_are_the_verdict(tmp_path: Path) -> None:
    repeats = {
        "winner": repeated(tmp_path, "winner", [12.0, 12.2, 12.1]),
        "recipe": repeated(tmp_path, "recipe", [11.0, 11.1, 11.2]),
    }
    page = make_search_report(searched(tmp_path, repeats=repeats), NAME).read_text()
    assert "The search helped: +1.0 [" in page
    assert "0.60" in page  # job hours of six repeats


def test_a_recipe_that_won_is_not_compared_with_itself(tmp_path: Path) -> None:
    keys = repeated(tmp_path, "recipe", [11.0, 11.1])
    page = make_search_report(searched(tmp_path, repeats={"winner": keys, "recipe": keys}), NAME).read_text()
    assert "The recipe&#39;s own values won" in page
    assert page.count("test split, fresh seeds") == 1


def test_two_objectives_have_a_front(tmp_path: Path) -> None:
    runs = searched(tmp_path, objective=("val_miou", "gpu_hours"))
    found = read_search(runs, NAME)
    for one in found.front():
        assert not any(
            other.values[0] >= one.values[0] and other.values[1] <= one.values[1] and other.values != one.values
            for other in found.finished
        )
    page = make_search_report(runs, NAME).read_text()
    assert "Pareto front" in page
    assert "Scores at the rungs" not in page
    assert page.count("<svg") == 5
    assert "<th>val_miou</th><th>gpu_hours</th><th>hours</th>" in page


def test_the_page_works_in_a_browser(tmp_path: Path) -> None:
    document = dump_dom(make_search_report(searched(tmp_path, trials=60), NAME))
    assert document.count("<svg") == 5
    assert "fANOVA" in document


def test_the_winner_becomes_a_task_of_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = searched(tmp_path)
    assert search.main(["export", NAME, "--runs-dir", str(runs), "--as", "recipe"]) == 0
    lines = capsys.readouterr().out
    assert len(lines.splitlines()) == 3
    names: dict[str, Any] = {}
    exec(lines, names)
    best = read_search(runs, NAME).best()
    assert best is not None
    suite = Suite(name="own", title="Own", dataset="rooms", transfers=(Transfer(task=names["BEST"], inputs=("rgb",)),))
    assert suite.tasks[0].recipes["cpu"].lr == best.chosen["lr"]
    assert search.main(["best", NAME, "--runs-dir", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trial"] == best.number


def test_a_search_that_is_not_there_lists_those_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = searched(tmp_path)
    assert search.main(["best", "nyuv2-semseg-rgb-tow", "--runs-dir", str(runs)]) == 2
    assert f"did you mean {NAME}" in capsys.readouterr().err


def test_a_half_written_journal_can_be_looked_at(tmp_path: Path) -> None:
    runs = searched(tmp_path)
    before = read_search(runs, NAME).trials
    with (runs / NAME / "study.journal").open("a") as journal:
        journal.write('{"op_code": 4, "worker_id": "x", "stu')
    assert read_search(runs, NAME).trials == before

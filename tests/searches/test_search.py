"""A search as a user runs it: spaces, plans, real trainings, a driver killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from benchmarks.imagenet import CLASSIFICATION
from benchmarks.nyuv2 import SEMSEG
from experiments import search
from experiments.plan.errors import UsageError
from experiments.searches.planning import plan_search
from experiments.searches.space import load_space
from reports.read.search_trials import read_search
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]
BRIEF = ROOT / "tests" / "made" / "brief_suite.py"
RECIPE = SEMSEG.recipes["cpu"]


def words(data: Path, runs: Path, *options: str) -> list[str]:
    return [
        *("--suite", str(BRIEF), "--task", "nyuv2-semseg", "--inputs", "rgb", "--checkpoint", "scratch"),
        *("--data-root", str(data), "--runs-dir", str(runs), "--executor", "local", "--name", "tried"),
        *("--set", "recipe.input_size=64", "--set", "recipe.batch_size=2", "--set", "recipe.epochs=6"),
        *("--set", "recipe.val_ratio=0.3", "--min-ratio", "0.2", *options),
    ]


def run(data: Path, runs: Path, *options: str, **popen: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "experiments" / "search.py"), *words(data, runs, *options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=12, num_test=2)


def test_a_killed_driver_is_taken_up_and_leaves_no_trial_open(tmp_path: Path, data: Path) -> None:
    runs = tmp_path / "runs"
    with run(data, runs, "--trials", "5") as first:
        deadline = time.monotonic() + 120
        while not list(runs.glob("tried/*/checkpoints/last.pth")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate(timeout=60)
    asked = len(read_search(runs, "tried").trials)
    assert 0 < asked < 5
    with run(data, runs, "--trials", "5", "--repeat-best", "1") as second:
        said, _ = second.communicate(timeout=400)
    assert second.returncode == 0, said
    found = read_search(runs, "tried")
    assert len(found.trials) == 5
    assert {trial.state for trial in found.study.get_trials()} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert found.trials[0].chosen["lr"] == RECIPE.lr  # the recipe is in the race
    assert found.trials[0].recipe
    # Nothing was judged on the test split but the repeats.
    repeats = {key for keys in found.described["repeats"].values() for key in keys}
    assert 1 <= len(repeats) <= 2  # one where the recipe has won
    for path in runs.glob("tried/*/result.json"):
        splits = {row["split"] for row in json.loads(path.read_text())["rows"]}
        assert splits == ({"test"} if path.parent.name in repeats else {"val"})
    # A promoted trial went on from its checkpoint.
    whole = next(one for one in found.trials if one.state == "complete")
    starts = [
        json.loads(path.read_text().splitlines()[0])["resumed_from_step"]
        for path in sorted((runs / "tried" / whole.run / "spool").glob("*.jsonl"))
    ]
    assert starts[-1] == sorted(whole.scores)[-2]
    assert (runs / "tried" / "report" / "index.html").exists()
    assert (runs / "mlflow.db").exists()


def test_the_plan_of_a_search_is_printed_and_starts_nothing(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search.main(words(data, tmp_path / "runs", "--pruner", "hyperband", "--dry-run")) == 0
    said = capsys.readouterr().out
    assert "% of a whole training" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--task", "nyuv2-semsge"), "did you mean nyuv2-semseg"),
        (("--space", "finetun"), "did you mean finetune"),
        (("--objective", "val_mio"), "did you mean val_miou"),
        (("--objective", "gpu_hours"), "use --pruner none"),
        (("--set", "recipe.val_ratio=0"), "needs images to judge trials on"),
        (("--set", "recipe.lr=0.5"), "outside of"),
        (("--checkpoint", "pretrian"), "did you mean pretrain"),
    ],
)
def test_what_is_wrong_with_a_search_is_said_before_it_starts(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert search.main(words(data, tmp_path / "runs", *options)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_trials_start_from_the_suites_pretraining(tmp_path: Path, data: Path) -> None:
    arguments = search.parser().parse_args(words(data, tmp_path, "--checkpoint", "pretrain"))
    plan = plan_search(arguments)
    planned = plan.trial(plan.own_values)
    assert planned.start == f"../../brief/{plan.pretrainings[0].key}/checkpoints/last.pth"
    assert planned.parts["checkpoint"] == {"nyuv2-pretrain": plan.pretrainings[0].key}
    assert plan.trial({**plan.own_values, "lr": 1e-4}).key != planned.key
    assert plan.repeat(plan.own_values, seed=1).run.judged_on == "test"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SPACE = {'lrr': Float(1e-5, 1e-2)}", "did you mean lr"),
        ("SPACE = {'lr': Int(1, 2)}", "wanted FloatDistribution or CategoricalDistribution"),
        ("SPACE = {'tuning': Choice(['full', 'half'])}", "no value 'half'"),
        ("SPACE = {'num_tuned_blocks': only_if(Int(1, 4), tuning='partial')}", "'tuning', which is not searched over"),
        ("OTHER = 1", "defines no SPACE"),
    ],
)
def test_a_wrong_space_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from optuna.distributions import FloatDistribution as Float, IntDistribution as Int\n"
        "from optuna.distributions import CategoricalDistribution as Choice\n"
        "from experiments.searches.space import only_if\n" + text
    )
    with pytest.raises(UsageError, match=said):
        load_space(str(file), recipe=RECIPE)


def test_the_spaces_that_ship_hold_every_tasks_recipe() -> None:
    for recipe in (RECIPE, CLASSIFICATION.recipes["cpu"], CLASSIFICATION.recipes["paper"], SEMSEG.recipes["paper"]):
        for name in ("finetune", "protocol"):
            space = load_space(name, recipe=recipe)
            own = space.own_values(recipe)
            assert own["lr"] == recipe.lr
    assert "num_tuned_blocks" not in load_space("protocol", recipe=RECIPE).own_values(RECIPE)

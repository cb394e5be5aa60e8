"""The digest covers the code that trains a run, what scores it has its own, and everything else changes nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import multimae
from experiments.plan import fingerprint
from experiments.plan.fingerprint import code_of, digest
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.settings import resolve_recipes
from experiments.plan.suite import expand, load_suite

DATA = Data(name="rooms", root=Path("/data/rooms"), fingerprint="f" * 64, num_train=100, num_test=20, num_labels=3)
SUITES = ("nyuv2", "imagenet", "ade20k", "taskonomy", "probes", "pretrain")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    for cached in (fingerprint._path, fingerprint._package_root):
        cached.cache_clear()


def look_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let digests be made of the files in a folder."""
    for cached in (fingerprint._path, fingerprint._package_root):
        cached.cache_clear()
    monkeypatch.setattr(fingerprint, "_package_root", lambda: folder)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a few files: job imports layers, nobody imports lonely."""
    for name, text in {
        "__init__": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import multimae.lonely\n",
        "job": '"""A job."""\nfrom multimae import layers\nimport multimae.evaluation\nimport torch\n',
        "layers": 'def f(x):\n    """Do it."""\n    import multimae.late\n    return x\n',
        "late": "x = 1\n",
        "evaluation": "import multimae.only_scored\n",
        "only_scored": "z = 3\n",
        "lonely": "y = 2\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    look_into(tmp_path, monkeypatch)
    return tmp_path


def test_imports_are_followed_even_inside_functions_and_scoring_is_apart(package: Path) -> None:
    code = code_of(["multimae.job"])
    assert set(code.training) == {"multimae.job", "multimae.layers", "multimae.late"}
    assert set(code.scoring) == {"multimae.evaluation", "multimae.only_scored"}


def test_where_scores_choose_weights_what_scores_trains(package: Path) -> None:
    code = code_of(["multimae.job"], scores_train=True)
    assert {"multimae.evaluation", "multimae.only_scored"} < set(code.training)
    assert not code.scoring


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("lonely", "y = 3\n", False),
        ("late", "x = 2\n", True),
        ("late", "# a comment\n\nx = 1  # and another\n", False),
        ("layers", 'def f(x):\n    """Do something else."""\n    import multimae.late\n\n    return x\n', False),
        ("layers", 'def f(x):\n    """Do it."""\n    import multimae.late\n    return x + 1\n', True),
        ("only_scored", "z = 4\n", False),
        ("job", "from multimae import layers\nimport multimae.evaluation\nimport torch\n", False),
    ],
)
def test_only_a_change_of_meaning_in_an_imported_file_counts(
    package: Path, file: str, text: str, changes: bool
) -> None:
    before = digest(code_of(["multimae.job"]).training)
    (package / f"{file}.py").write_text(text)
    assert (digest(code_of(["multimae.job"]).training) != before) is changes


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def plans() -> list[PlannedRun]:
    found: list[PlannedRun] = []
    for name in SUITES:
        suite = load_suite(name)
        recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=())
        runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=suite.checkpoints)
        found += make_plan(runs, data={run.dataset_name: DATA for run in runs})
    return found


def identities() -> dict[str, tuple[str, str]]:
    """Return key and digest of the scoring code by the name of the run."""
    return {planned.run.suite + planned.run.name: (planned.key, digest(planned.scoring)) for planned in plans()}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library's code."""
    home = tmp_path_factory.mktemp("library") / "multimae"
    own = Path(multimae.__file__).parent
    shutil.copytree(own, home, ignore=shutil.ignore_patterns("__pycache__", "*.xz", "_bundle"))
    return home


def names_of(kind: str) -> set[str]:
    return {planned.run.suite + planned.run.name for planned in plans() if planned.run.task.kind == kind}


@pytest.mark.parametrize(
    ("file", "edit", "new", "scored"),
    [
        ("evaluation/depth.py", ("", "\n# a comment\n"), "none", "none"),
        ("layers.py", ("", "\n# a comment\n"), "none", "none"),
        ("evaluation/depth.py", ("MIN_DEPTH_M = 1e-3", "MIN_DEPTH_M = 2e-3"), "none", "depth"),
        ("evaluation/segmentation.py", ("100 * share.item()", "99 * share.item()"), "none", "semseg"),
        ("evaluation/scoring.py", ('mode="bilinear"', 'mode="nearest"'), "none", "all"),
        ("layers.py", ("", "\nNEW = 1\n"), "all", "none"),
        ("heads/dpt.py", ("", "\nNEW = 1\n"), "dpt", "none"),
        ("prepare/nyuv2.py", ("", "\nNEW = 1\n"), "none", "none"),
        ("rooms/computed.py", ("", "\nNEW = 1\n"), "none", "none"),
        ("record/state.py", ("", "\nNEW = 1\n"), "none", "none"),
        ("pictures/predictions.py", ("", "\nNEW = 1\n"), "none", "none"),
        ("tables/metrics.py", ("", "\nNEW = 1\n"), "none", "none"),
    ],
)
def test_a_change_touches_the_runs_it_is_of_meaning_for(
    library: Path, monkeypatch: pytest.MonkeyPatch, file: str, edit: tuple[str, str], new: str, scored: str
) -> None:
    look_into(library, monkeypatch)
    before, path = identities(), library / file
    text = path.read_text()
    path.write_text(text.replace(edit[0], edit[1], 1) if edit[0] else text + edit[1])
    try:
        after = identities()
    finally:
        path.write_text(text)
    everything = set(before)
    sets = {
        "none": set(),
        "all": everything,
        "dpt": names_of("depth") | names_of("regression"),
        "depth": names_of("depth"),
        "semseg": names_of("semseg"),
    }
    assert {name for name in everything if before[name][0] != after[name][0]} == sets[new]
    assert {name for name in everything if before[name][1] != after[name][1]} == sets[scored]

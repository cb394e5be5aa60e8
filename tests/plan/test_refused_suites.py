"""Suites that mean two things, take what is another's, or cannot be imported: refused before anything is written."""

import sys
from pathlib import Path
from typing import Any

import pytest

from experiments import search, sweep
from multimae import cli
from tests.made.commands import done, of_search, of_sweep, tree

SUITE = """\
from dataclasses import replace
from benchmarks.imagenet import CLASSIFICATION
from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from benchmarks.recipes import TransferRecipe
from experiments.plan.suite import Pretraining, Suite, Transfer
from multimae.data.spec import DatasetSpec
KITCHENS = DatasetSpec(name="kitchens", title="Kitchens", classes=("a", "b"), modalities=("rgb", "semseg"))
RGB, BOTH = ("rgb",), ("rgb", "depth")

def suite(*transfers, **changes):
    start = {"pretrainings": (), "checkpoints": ("scratch",), "name": "mine", "title": "Mine", "dataset": "nyuv2"}
    return Suite(transfers=transfers, **{**start, **changes})

"""


def own_suite(folder: Path, text: str, *, name: str = "mine.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(SUITE + text + "\n")
    return folder / name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB),"
            " Transfer(task=SEMSEG.variant(SEMSEG.name, lr=0.5), inputs=BOTH))",
            "two tasks are called 'nyuv2-semseg': that of Transfer rgb and that of Transfer rgb+depth differ in "
            "lr (0.002 and 0.5)",
        ),
        (
            "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), Transfer(task=replace(DEPTH, name=SEMSEG.name),"
            " inputs=RGB))",
            "differ in kind (semseg and depth)",
        ),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), Transfer(task=SEMSEG, inputs=RGB))", "is there twice"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=('rgb', 'rgb')))", "'rgb' is there twice"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=('rbg',)))", "did you mean rgb"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs='rgb'))", "wanted a tuple of modalities, such as ('rgb',)"),
        (
            "SUITE = suite(pretrainings=(Pretraining(task=PRETRAINING, inputs=RGB),"
            " Pretraining(task=PRETRAINING.variant('other', lr=0.1), inputs=RGB)))",
            "pre-trainings of the suite: 'pretrain' is there twice",
        ),
        (
            "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB, dataset=KITCHENS),"
            " Transfer(task=SEMSEG, inputs=BOTH, dataset=replace(KITCHENS, first_label=0)))",
            "two data sets are called 'kitchens'",
        ),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), seeds=(0, 0))", "wanted different whole numbers from 0"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), name='a/b')", "suite 'a/b' would be the name of a folder"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), name='pseudo-label')", "choose another name"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), name='nyuv2')", "as one that ships is called"),
        ("TASK = replace(SEMSEG, head='convnex')", "no head 'convnex'; did you mean convnext"),
        ("TASK = replace(SEMSEG, loss='cross_entrop')", "did you mean cross_entropy"),
        ("TASK = replace(SEMSEG, protocols=('standrd',))", "did you mean standard"),
        ("TASK = replace(SEMSEG, protocols=('paper',))", "no protocol of its own 'standard'"),
        ("TASK = replace(SEMSEG, primary=replace(SEMSEG.primary, metric='mio'))", "did you mean miou"),
        ("TASK = CLASSIFICATION.variant('x', rand_augment='randm9')", "such as rand-m9-mstd0.5-inc1, or nothing"),
        ("TASK = SEMSEG.variant('x', lr=-1)", "lr is -1, wanted a number above 0"),
        ("RECIPE = TransferRecipe(lr='1e-3')", "lr is '1e-3', wanted a number above 0"),
        ("SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), sizes={'paper': 'base'})", "no size for --profile cpu"),
        (
            "SUITE = suite(Transfer(task=replace(SEMSEG, recipes={'paper': SEMSEG.recipes['paper']}), inputs=RGB))",
            "has no recipe for --profile cpu; it has paper",
        ),
    ],
)
def test_a_suite_that_means_two_things_is_refused(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    before = tree(runs)
    file = own_suite(tmp_path / "suites", text)
    assert done(sweep.main, *of_sweep(runs, data, "--suite", file)) == 2
    assert said in capsys.readouterr().err
    assert tree(runs) == before


def test_a_data_set_of_ones_own_is_not_replaced_by_rooms(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(runs)
    file = own_suite(tmp_path / "suites", "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), dataset=KITCHENS)")
    assert done(sweep.main, "--suite", file, "--runs-dir", runs, "--dry-run") == 3
    assert "reads 'kitchens', a data set that the suite describes: pass the folder" in capsys.readouterr().err
    assert done(sweep.main, "--suite", file, "--runs-dir", runs, "--dry-run", "--dataset", "rooms") == 0
    assert tree(runs) == before


def test_folders_of_suites_and_searches_are_kept_apart(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "taken").mkdir()
    (runs / "taken" / "sweep.json").write_text('{"suite": "taken", "keys": []}')
    (runs / "tried").mkdir()
    (runs / "tried" / "search.json").write_text("{}")
    before = tree(runs)
    assert done(search.main, *of_search(runs, data, "--name", "taken")) == 2
    assert "name the search otherwise: --name taken-search" in capsys.readouterr().err
    file = own_suite(tmp_path / "suites", "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB), name='tried')")
    assert done(sweep.main, *of_sweep(runs, data, "--suite", file)) == 2
    assert "is the folder of a search of that name" in capsys.readouterr().err
    assert tree(runs) == before


def test_two_files_do_not_share_the_folder_of_one_suite(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "SUITE = suite(Transfer(task=SEMSEG, inputs=RGB))"
    first, second = (own_suite(tmp_path / folder, text) for folder in ("one", "two"))
    (runs / "mine").mkdir()
    (runs / "mine" / "sweep.json").write_text(f'{{"suite": "mine", "keys": [], "source": "{first}"}}')
    before = tree(runs)
    assert done(sweep.main, *of_sweep(runs, data, "--suite", second, "--dry-run")) == 2
    assert f"holds the suite that {first} describes" in capsys.readouterr().err
    assert done(sweep.main, *of_sweep(runs, data, "--suite", first, "--dry-run")) == 0
    first.rename(tmp_path / "one" / "moved.py")
    assert done(sweep.main, *of_sweep(runs, data, "--suite", second, "--dry-run")) == 0  # the first one is gone
    assert tree(runs) == before


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("def f(:\n", 1, "SyntaxError: invalid syntax"),
        ("import os\nimport no_such_module\n", 2, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\n\ny = x.name\n", 3, "AttributeError"),
        ("raise SystemExit(0)\n", 1, "SystemExit"),
        ("import beside_it\nbeside_it.fail()\n", 2, "ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("door", ["suite", "space", "data set"])
def test_a_file_that_cannot_be_imported_is_named_with_its_line(
    runs: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    door: str,
    text: str,
    line: int,
    said: str,
) -> None:
    file = tmp_path / "own" / "file.py"
    file.parent.mkdir()
    file.write_text(text)
    (file.parent / "beside_it.py").write_text("def fail():\n    return 1 / 0\n")
    before = tree(runs)
    commands: dict[str, list[Any]] = {
        "suite": [sweep.main, *of_sweep(runs, data, "--suite", file)],
        "space": [search.main, *of_search(runs, data, "--space", file)],
        "data set": [cli.main, "data", "verify", file, "--data-root", data],
    }
    main, *words = commands[door]
    assert done(main, *words) == 2
    err = capsys.readouterr().err
    place = f"{file.parent / 'beside_it.py'}:2" if "beside" in text else f"{file}:{line}"
    assert f"{place}: {said}" in err
    assert "Traceback" not in err
    assert tree(runs) == before


@pytest.mark.parametrize("door", ["--suite", "--space"])
def test_a_file_that_is_not_there_names_those_that_are(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], door: str
) -> None:
    (tmp_path / "mine.py").write_text("")
    main, words = (sweep.main, of_sweep(runs, data)) if door == "--suite" else (search.main, of_search(runs, data))
    assert done(main, *words, door, tmp_path / "mime.py") == 2
    assert f"did you mean {tmp_path / 'mine.py'}" in capsys.readouterr().err


def test_a_suite_imports_what_lies_beside_it(runs: Path, data: Path, tmp_path: Path) -> None:
    file = own_suite(
        tmp_path / "own", "from helper_of_mine import INPUTS\nSUITE = suite(Transfer(task=SEMSEG, inputs=INPUTS))"
    )
    (file.parent / "helper_of_mine.py").write_text("INPUTS = ('rgb',)\n")
    path = list(sys.path)
    assert done(sweep.main, *of_sweep(runs, data, "--suite", file, "--dry-run")) == 0
    assert sys.path == path

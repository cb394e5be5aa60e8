"""What cannot be trained is refused while it is planned: in words, with exit code 2 or 3, and nothing is written."""

import ctypes
import dataclasses
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from benchmarks.kinds import FOLDER, kind
from benchmarks.ranges import fields_of
from experiments import free, label, search, sweep
from experiments.plan.errors import UsageError
from experiments.searches.space import load_space
from experiments.track import command as track
from multimae import cli
from multimae.named import modules_in
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]
BRIEF = ROOT / "tests" / "made" / "brief_suite.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=5, num_test=2)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with what an earlier sweep has left there."""
    folder = tmp_path / "runs"
    (folder / "brief").mkdir(parents=True)
    (folder / "brief" / "sweep.json").write_text('{"suite": "brief", "keys": []}\n')
    return folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return everything below a folder, with the content of its files."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def done(main: Callable[[list[str]], int], *words: object) -> int:
    """Run a command in this process; argparse leaves by an exception."""
    try:
        return main([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)


def of_sweep(runs: Path, data: Path, *options: object) -> list[object]:
    return ["--suite", BRIEF, "--data-root", data, "--runs-dir", runs, "--executor", "local", *options]


def of_search(runs: Path, data: Path, *options: object) -> list[object]:
    task = ["--task", "nyuv2-semseg", "--inputs", "rgb", "--checkpoint", "scratch", "--pruner", "none"]
    return [*of_sweep(runs, data), *task, *options]


SETTINGS = [
    ("recipe.batch_size=0", "batch_size is 0, wanted a whole number of at least 1"),
    ("recipe.batch_size=-4", "batch_size is -4"),
    ("recipe.epochs=-1", "epochs is -1, wanted a whole number of at least 1"),
    ("recipe.epochs=0", "epochs is 0"),
    ("pretraining.epochs=0", "epochs is 0"),
    ("recipe.lr=nan", "lr is nan, wanted a number above 0"),
    ("recipe.lr=inf", "lr is inf"),
    ("recipe.lr=-1", "lr is -1.0"),
    ("recipe.lr=0", "lr is 0.0"),
    ("recipe.weight_decay=nan", "weight_decay is nan"),
    ("recipe.train_ratio=0", "train_ratio is 0.0, wanted a number above 0 and at most 1"),
    ("recipe.val_ratio=1", "val_ratio is 1.0, wanted a number of at least 0 and below 1"),
    ("recipe.hflip_prob=7", "hflip_prob is 7.0"),
    ("recipe.num_evaluations=0", "num_evaluations is 0"),
    ("recipe.beta2=1", "beta2 is 1.0"),
    ("recipe.store_size=-1", "store_size is -1"),
    ("recipe.drop_path_rate=1", "drop_path_rate is 1.0"),
    ("recipe.input_size=97", "input_size 97 does not divide into patches of 16 pixels; --set recipe.input_size=96 or"),
    ("recipe.input_size=0", "input_size is 0"),
    ("recipe.warmup_epochs=2", "warmup_epochs is 2.0, wanted at most epochs, which is 1"),
    ("recipe.micro_batch_size=3", "micro_batch_size is 3, wanted 0 or a divisor of batch_size, which is 8"),
    ("nyuv2-semseg.scale_min=9", "scale_min is 9.0, wanted at most scale_max, which is 1.6"),
    ("recipe.min_lr=1", "min_lr is 1.0, wanted at most the learning rate"),
    ("recipe.pseudo=dept", "did you mean depth"),
    ("pretraining.num_visible_tokens=109", "num_visible_tokens is 109, wanted at most 108: 36 patches of 3 inputs"),
    ("pretraining.alphas=1,1", "alphas are 2, wanted one, or one for each of the 3 inputs"),
    ("pretraining.alphas=1,0,1", "alphas is 0.0"),
    ("nyuv2-semseg.tuning=partial nyuv2-semseg.num_tuned_blocks=5", "num_tuned_blocks is 5, wanted at most the 4"),
    ("recipe.selection=validation recipe.val_ratio=0", "selection=validation"),
    ("recipe.base_lr=0.1 recipe.lr=0.1", "its base_lr is 0.1 and wins"),
]


@pytest.mark.parametrize(("chosen", "said"), SETTINGS)
def test_a_setting_out_of_its_range_changes_nothing(
    runs: Path, data: Path, capsys: pytest.CaptureFixture[str], chosen: str, said: str
) -> None:
    before = tree(runs)
    options = [word for override in chosen.split() for word in ("--set", override)]
    assert done(sweep.main, *of_sweep(runs, data, *options)) == 2
    assert said in capsys.readouterr().err
    assert tree(runs) == before


OPTIONS: list[tuple[str, str]] = [
    ("--devices 0", "argument --devices: '0', wanted a whole number from 1"),
    ("--devices two", "argument --devices: 'two'"),
    ("--max-parallel 0", "argument --max-parallel: '0', wanted a whole number from 1"),
    ("--size tyni", "did you mean tiny"),
]
OF_SWEEPS = [
    *OPTIONS,
    ("--devices 3", "batch_size is 16, wanted a multiple of --devices, which is 3"),
    ("--seeds a", "argument --seeds: 'a', wanted different whole numbers from 0 with commas between them"),
    ("--seeds 1,1", "argument --seeds: '1,1'"),
    ("--seeds=-1", "argument --seeds: '-1'"),
    ("--checkpoints scratch,scratch", "argument --checkpoints: 'scratch,scratch', wanted different names"),
    ("--checkpoints scratch,", "argument --checkpoints: 'scratch,'"),
]
OF_SEARCHES = [
    *OPTIONS,
    ("--trials 0", "argument --trials: '0', wanted a whole number from 1"),
    ("--parallel 0", "argument --parallel"),
    ("--eta 1", "argument --eta: '1', wanted a whole number from 2"),
    ("--min-ratio 0", "argument --min-ratio: '0', wanted a number above 0 and up to 1"),
    ("--min-ratio nan", "argument --min-ratio: 'nan'"),
    ("--seed=-1", "argument --seed"),
    ("--search-seed=-1", "argument --search-seed"),
    ("--retries=-1", "argument --retries"),
    ("--repeat-best=-1", "argument --repeat-best"),
    ("--inputs rgb,rgb", "argument --inputs: 'rgb,rgb'"),
    ("--inputs rbg", "did you mean rgb"),
    ("--set recipe.batch_size=0", "batch_size is 0"),
    ("--set recipe.input_size=97", "input_size 97 does not divide into patches"),
    ("--name brief", "as a suite is"),
    ("--name nyuv2", "as a suite is"),
    ("--name ../elsewhere", "would be the name of a folder"),
    ("--name demo", "holds the pages of"),
    ("--detach --executor inline", "--detach needs jobs that live on"),
    ("--storage no/url", "wanted a database's URL"),
    ("--cluster nowhere", "cluster 'nowhere' is described nowhere"),
]


@pytest.mark.parametrize(("options", "said"), OF_SWEEPS)
def test_an_option_of_a_sweep_out_of_its_range_changes_nothing(
    runs: Path, data: Path, capsys: pytest.CaptureFixture[str], options: str, said: str
) -> None:
    before = tree(runs)
    assert done(sweep.main, *of_sweep(runs, data, *options.split())) == 2
    assert said in capsys.readouterr().err
    assert tree(runs) == before


@pytest.mark.parametrize(("options", "said"), OF_SEARCHES)
def test_what_is_wrong_with_a_search_changes_nothing(
    runs: Path, data: Path, capsys: pytest.CaptureFixture[str], options: str, said: str
) -> None:
    before = tree(runs)
    assert done(search.main, *of_search(runs, data, *options.split())) == 2
    assert said in capsys.readouterr().err
    assert tree(runs) == before


@pytest.mark.parametrize(
    "words",
    [
        "pack nyuv2 --data-root d --out o --workers -1",
        "pack nyuv2 --data-root d --out o --store-size 0",
        "pack nyuv2 --data-root d --out o --jpeg-quality 101",
        "verify nyuv2 --sample 0",
        "verify nyuv2 --workers 0",
        "prepare hypersim --from d --workers 0",
        "prepare hypersim --from d --shorter-side -1",
        "pseudo-label --rgb d --out o --batch-size 0",
        "pseudo-label --rgb d --out o --min-side 0",
        "pseudo-label --rgb d --out o --max-side -5",
        "pseudo-label --rgb d --out o --shards 0",
        "pseudo-label --rgb d --out o --shards 2 --max-parallel 0",
    ],
)
def test_numbers_of_data_commands_have_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert done(cli.main, "data", *words.split()) == 2
    assert "wanted a whole number from" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_number_of_every_recipe_has_a_range() -> None:
    for name in modules_in(FOLDER):
        recipe = kind(name).recipe
        for field in dataclasses.fields(recipe):
            declared = fields_of(recipe)[field.name]
            if declared.type in (int, float):
                assert declared.limits, (recipe.__name__, field.name)
            elif get_origin(declared.type) is None:
                assert declared.type in (str, bool), (recipe.__name__, field.name)
            else:
                assert get_args(declared.type), (recipe.__name__, field.name)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{'hflip_prob': Float(0.0, 2.0)}", "the space reaches 2.0: hflip_prob is 2.0"),
        ("{'epochs': Int(0, 5)}", "epochs is 0"),
        ("{'batch_size': Choice([0, 8])}", "batch_size is 0"),
        ("{'warmup_epochs': Float(0.0, 9.0)}", "warmup_epochs is 9.0, wanted at most epochs, which is 5"),
        ("{'epochs': Int(1, 5), 'warmup_epochs': Float(0.0, 2.0)}", "wanted at most epochs, which is 1"),
    ],
)
def test_a_space_stays_within_the_ranges(tmp_path: Path, space: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from optuna.distributions import FloatDistribution as Float, IntDistribution as Int\n"
        f"from optuna.distributions import CategoricalDistribution as Choice\nSPACE = {space}\n"
    )
    from benchmarks.nyuv2 import SEMSEG

    with pytest.raises(UsageError) as raised:
        load_space(str(file), recipe=SEMSEG.recipes["cpu"])
    assert said in str(raised.value)


def test_a_space_over_a_learning_rate_that_does_not_train_is_refused(
    runs: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert done(search.main, *of_search(runs, data, "--set", "recipe.base_lr=0.064")) == 2
    assert "--set nyuv2-semseg.base_lr=0 --set nyuv2-semseg.lr=0.002" in capsys.readouterr().err


def test_the_plan_says_how_many_images_each_part_has(
    runs: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert done(sweep.main, *of_sweep(runs, data, "--dry-run")) == 0
    said = capsys.readouterr().out
    assert "images of nyuv2: 4 to train on, 1 to validate on, 2 to test on (nyuv2-pretrain, nyuv2-semseg" in said
    assert "nyuv2-semseg: a step of 8 samples shows some of 4 images repeatedly" in said


def test_a_single_image_is_not_held_out_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_frames(tmp_path / "data", num_train=1, num_test=1)
    assert done(sweep.main, *of_sweep(tmp_path / "runs", data)) == 3
    assert "cannot spare one; add images, or --set recipe.val_ratio=0" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


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


@pytest.mark.parametrize("text", ["[a\n", "x = 1\n", b"\xff\xfe", "[a]\npartition = 3\n", "[a]\npartitoin = 'x'\n"])
def test_a_clusters_file_that_cannot_be_read_changes_nothing(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | bytes
) -> None:
    before = tree(runs)
    file = tmp_path / "clusters.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    for main, words in ((sweep.main, of_sweep(runs, data)), (search.main, of_search(runs, data))):
        assert done(main, *words, "--cluster-file", file) == 2
        assert str(file) in capsys.readouterr().err
    assert tree(runs) == before


DOORS = {
    "sweep": "sweep --suite {brief} --data-root {data} --runs-dir {runs} --executor inline",
    "search": "search --suite {brief} --task nyuv2-semseg --checkpoint scratch --data-root {data} --runs-dir {runs}",
    "gc": "gc --runs-dir {runs}",
    "track": "track sync --runs-dir {runs}",
    "report": "report --suite brief --runs-dir {runs}",
    "best": "search best tried --runs-dir {runs}",
    "demo": "demo --runs-dir {runs}",
}


@pytest.mark.parametrize("door", DOORS)
def test_a_runs_folder_that_is_a_file_is_named(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], door: str
) -> None:
    runs = tmp_path / "runs"
    runs.write_text("a file")
    words = DOORS[door].format(brief=BRIEF, data=data, runs=runs).split()
    assert done(cli.main, *words) in (2, 3)
    err = capsys.readouterr().err
    assert str(runs) in err
    assert "Traceback" not in err
    assert runs.read_text() == "a file"


def obey_modes() -> None:
    """Let root obey the modes of files, as any other user does."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, for what is executed next


@pytest.mark.parametrize(
    ("mode", "doors"),
    [(0o555, ("sweep", "search", "demo")), (0o000, tuple(DOORS))],
    ids=["read-only", "unreadable"],
)
def test_a_runs_folder_that_the_user_may_not_use_is_named(
    tmp_path: Path, data: Path, mode: int, doors: tuple[str, ...]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(mode)
    try:
        for door in doors:
            words = DOORS[door].format(brief=BRIEF, data=data, runs=runs).split()
            command = [sys.executable, "-m", "multimae.cli", *words]
            left = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, preexec_fn=obey_modes)
            assert left.returncode in (2, 3), (door, left.stderr)
            assert str(runs) in left.stderr, door
            assert "Traceback" not in left.stderr
    finally:
        runs.chmod(0o755)
    assert not list(runs.iterdir())


def test_no_home_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_home(path: str) -> str:
        return path  # what os.path does where there is no home

    for name in ("HOME", "MULTIMAE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", no_home)
    assert done(sweep.main, "--suite", "smoke", "--runs-dir", tmp_path / "runs", "--dry-run") == 3
    assert "set MULTIMAE_CACHE to a folder" in capsys.readouterr().err
    assert done(cli.main, "weights", "ls") == 3
    assert "set MULTIMAE_CACHE to a folder" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "file" / "cache"))
    assert done(sweep.main, "--suite", "smoke", "--runs-dir", tmp_path / "runs", "--dry-run") == 3
    err = capsys.readouterr().err
    assert f"{tmp_path / 'file' / 'cache'}" in err
    assert "Errno" not in err


def test_a_full_disk_is_one_line(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("multimae.record.files.os.fsync", full)
    runs = tmp_path / "runs"
    assert done(sweep.main, *of_sweep(runs, data)) == 3
    assert f"sweep: {runs / 'brief' / 'sweep.json'}: No space left on device" in capsys.readouterr().err


def test_folders_that_are_not_there_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for main, words in ((free.main, ()), (track.main, ("sync",))):
        assert done(main, *words, "--runs-dir", tmp_path / "rnus") == 3
        assert "there is no runs folder" in capsys.readouterr().err


def test_labelling_is_refused_before_it_makes_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label.add_arguments  # the door of `multimae data pseudo-label`
    (tmp_path / "rgb").mkdir()
    words = ("pseudo-label", "--rgb", tmp_path / "rgb", "--out", tmp_path / "out", "--shards", "2")
    assert done(cli.main, "data", *words) == 2
    assert "no network is named" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

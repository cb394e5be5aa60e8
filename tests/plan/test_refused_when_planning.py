"""What cannot be trained is refused while it is planned: in words, with exit code 2 or 3, and nothing is written."""

import dataclasses
from pathlib import Path
from typing import get_args, get_origin

import pytest

from benchmarks.kinds import FOLDER, kind
from benchmarks.ranges import fields_of
from experiments import search, sweep
from experiments.plan.errors import UsageError
from experiments.searches.space import load_space
from multimae import cli
from multimae.named import modules_in
from tests.made.commands import done, of_search, of_sweep, tree
from tests.made.tinydata import write_frames

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

"""`--set` changes one typed field, or says what is wrong before anything runs."""

import pytest

from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from benchmarks.recipes import Recipe
from experiments.plan.errors import UsageError
from experiments.plan.settings import resolve_recipes

TASKS = (PRETRAINING, SEMSEG, DEPTH)


def resolve(*overrides: str) -> dict[str, Recipe]:
    return dict(resolve_recipes(TASKS, profile="cpu", overrides=overrides))


def test_a_transfer_field_changes_every_transfer_and_no_pretraining() -> None:
    recipes = resolve("recipe.lr=3e-4")
    assert recipes["nyuv2-semseg"].lr == recipes["nyuv2-depth"].lr == 3e-4
    assert recipes["nyuv2-pretrain"] == PRETRAINING.recipes["cpu"]


def test_scopes_name_one_task_or_the_pretraining() -> None:
    recipes = resolve("nyuv2-depth.epochs=3", "pretraining.num_visible_tokens=20")
    assert recipes["nyuv2-depth"].epochs == 3
    assert recipes["nyuv2-semseg"] == SEMSEG.recipes["cpu"]
    assert recipes["nyuv2-pretrain"].num_visible_tokens == 20  # type: ignore[attr-defined]


def test_several_values_are_separated_by_commas() -> None:
    recipes = resolve("pretraining.alphas=0.5,1,2", "recipe.new_modalities=depth", "recipe.pseudo=")
    assert recipes["nyuv2-pretrain"].alphas == (0.5, 1.0, 2.0)  # type: ignore[attr-defined]
    assert recipes["nyuv2-semseg"].new_modalities == ("depth",)  # type: ignore[attr-defined]
    assert recipes["nyuv2-semseg"].pseudo == ()


def test_the_last_override_wins() -> None:
    assert resolve("recipe.lr=1", "recipe.lr=2")["nyuv2-semseg"].lr == 2.0


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("recipe.lrr=1", "did you mean lr"),
        ("recepe.lr=1", "did you mean recipe"),
        ("recipe.epochs=1e3", "epochs takes a int; got '1e3'"),
        ("pretraining.alphas=1,x", "alphas takes floats with commas between them; got '1,x'"),
        ("recipe.precision=fp8", "one of fp32, bf16, fp16"),
        ("recipe.lr", "SCOPE.FIELD=VALUE"),
        ("lr=1", "SCOPE.FIELD=VALUE"),
    ],
)
def test_a_wrong_override_says_what_was_meant(override: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        resolve(override)
    assert said in str(raised.value)

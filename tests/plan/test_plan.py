"""A plan names every run by what its result depends on, and says why a run is new."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recipes import TransferRecipe
from experiments.plan.errors import UsageError
from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.render import as_python, learning_rate, num_steps, render
from experiments.plan.rundirs import prepare
from experiments.plan.settings import resolve_recipes
from experiments.plan.suite import Suite, expand, load_suite
from experiments.plan.why import difference, why_new

DATA = Data(name="nyuv2", root=Path("/data/nyuv2"), fingerprint="f" * 64, num_train=100, num_test=20)


def plan(*overrides: str, data: Data = DATA, suite: Suite | None = None, size: str = "tiny") -> tuple[PlannedRun, ...]:
    suite = suite or load_suite("nyuv2")
    recipes = resolve_recipes(suite.tasks, profile="cpu", overrides=overrides)
    runs = expand(suite, recipes=recipes, profile="cpu", size=size, seeds=suite.seeds, checkpoints=suite.checkpoints)
    return make_plan(runs, data={runs[0].dataset_name: data})


def keys(runs: tuple[PlannedRun, ...]) -> dict[str, str]:
    return {planned.run.name: planned.key for planned in runs}


def test_the_suite_is_one_pretraining_and_four_transfers_twice_with_three_seeds() -> None:
    runs = plan()
    assert len(runs) == 1 + 4 * 2 * 3
    pretraining, *transfers = runs
    assert pretraining.run.inputs == ("rgb", "depth", "semseg")
    for planned in transfers:
        assert planned.depends_on == ((pretraining.key,) if planned.run.checkpoint == "pretrain" else ())
    assert len(set(keys(runs).values())) == 25


def test_a_setting_renames_the_runs_it_touches_and_no_others() -> None:
    before, after = keys(plan()), keys(plan("nyuv2-depth.lr=0.5"))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if name.startswith("nyuv2-depth")}


def test_a_new_pretraining_renames_what_starts_from_it() -> None:
    before, after = keys(plan()), keys(plan("pretraining.lr=0.5"))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if "pretrain" in name}


def test_data_and_size_rename_everything() -> None:
    before = keys(plan())
    for other in (plan(data=replace(DATA, fingerprint="0" * 64)), plan(size="small")):
        assert not set(before.values()) & set(keys(other).values())


def test_where_the_data_lies_renames_nothing() -> None:
    assert keys(plan()) == keys(plan(data=replace(DATA, root=Path("/elsewhere"))))


def test_a_field_at_its_default_is_not_in_the_digest() -> None:
    semseg = next(planned for planned in plan() if planned.run.task.kind == "semseg")
    assert "recipe.clip_grad" not in semseg.parts["config"]
    assert semseg.parts["config"]["recipe.lr"] == semseg.run.recipe.lr


def test_why_names_the_key_that_changed(tmp_path: Path) -> None:
    (first,) = (planned for planned in plan() if planned.run.task.kind == "pretraining")
    assert why_new(first, suite_dir=tmp_path) == ["no run of this name yet"]
    prepare(first, suite_dir=tmp_path)
    (second,) = (planned for planned in plan("pretraining.lr=0.5") if planned.run.task.kind == "pretraining")
    assert why_new(second, suite_dir=tmp_path) == [f"config.recipe.lr: {first.run.recipe.lr} -> 0.5"]


def test_difference_names_added_and_removed_keys() -> None:
    assert difference({"code": {"a": "1"}}, {"code": {"b": "2"}}) == ["code.a: absent -> 1", "code.b: 2 -> absent"]


def test_a_rendered_config_is_plain_python_that_gives_itself_back() -> None:
    for planned in plan():
        config = render(planned)
        namespace: dict[str, object] = {}
        exec(as_python(config, title="a title"), namespace)
        assert {name: namespace[name] for name in config} == config


def test_steps_are_those_of_the_optimizer_over_the_training_part() -> None:
    run = plan()[1].run

    def steps(**changes: Any) -> int:
        recipe = TransferRecipe(epochs=3, batch_size=20, val_ratio=0.1)
        return num_steps(replace(run, recipe=replace(recipe, **changes)), data=DATA)

    assert steps() == 12  # three times 90 samples, 4 whole batches of 20 each time
    assert steps(micro_batch_size=5) == 12  # accumulated or not
    assert steps(train_ratio=0.1) == 3  # 9 samples: a batch shorter than asked for
    assert steps(tuning="knn") == 5  # everything once


def test_a_batch_consists_of_whole_micro_batches() -> None:
    with pytest.raises(UsageError, match="micro_batch_size is 5, wanted 0 or a divisor of batch_size, which is 16"):
        [render(planned) for planned in plan("recipe.batch_size=16", "recipe.micro_batch_size=5")]


def test_a_base_learning_rate_is_per_256_samples() -> None:
    assert learning_rate(TransferRecipe(lr=0.1, base_lr=1e-4, batch_size=2048)) == pytest.approx(8e-4)
    assert learning_rate(TransferRecipe(lr=0.1)) == 0.1


def test_a_suite_is_found_by_name_or_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(
        "from dataclasses import replace\n"
        "from experiments.suites.nyuv2 import SUITE as NYUV2\n"
        "SUITE = replace(NYUV2, name='mine', seeds=(7,))\n"
    )
    assert {planned.run.seed for planned in plan(suite=load_suite(str(own)))[1:]} == {7}
    with pytest.raises(UsageError, match="did you mean nyuv2"):
        load_suite("nyuv3")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(UsageError, match="defines no SUITE"):
        load_suite(str(tmp_path / "empty.py"))


def test_scoring_options_reach_the_evaluations_of_their_protocol() -> None:
    chosen = ("recipe.inference=slide", "recipe.flip=average", "nyuv2-depth.paper_num_images=100")
    for planned in plan(*chosen):
        if planned.run.task.kind not in ("semseg", "depth"):
            continue
        items = {item["protocol"]: item for item in render(planned)["job"]["evaluations"]}
        assert (items["standard"]["inference"], items["standard"]["flip"]) == ("slide", "average")
        assert "inference" not in items["paper"]
        assert items["paper"].get("num_images", 0) == (100 if planned.run.task.kind == "depth" else 0)
        pipeline = items["standard"]["dataloader"]["dataset"]["pipeline"]
        assert pipeline.get("side") == ("shorter" if planned.run.task.kind == "semseg" else None)


def test_selection_needs_images_to_select_on() -> None:
    with pytest.raises(UsageError, match="selection=validation, but nyuv2 has no val split"):
        [render(planned) for planned in plan("recipe.selection=validation", "recipe.val_ratio=0")]
    (planned, *_) = [one for one in plan("recipe.selection=test") if one.run.task.kind == "semseg"]
    validation = render(planned)["job"]["validation"]
    assert (validation["split"], validation["protocol"]) == ("test", "paper")


def test_a_data_set_with_a_split_of_its_own_holds_nothing_out() -> None:
    own = replace(DATA, num_val=10)
    config = render(plan(data=own)[1])
    assert config["train_dataloader"]["dataset"]["val_ratio"] == 0.0
    assert config["job"]["validation"]["dataloader"]["dataset"]["split"] == "val"

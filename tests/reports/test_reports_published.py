"""Our numbers beside the published ones: a difference only where everything matches, else the reasons in words."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.published import Published, all_published
from experiments.plan.planning import settings
from experiments.plan.suite import SuiteRun
from multimae.checkpoints.catalogue import CATALOGUE
from multimae.tables.metrics import METRICS
from multimae.tables.sizes import SIZES
from reports.make import make_report
from reports.read.results import read_suite, to_frame
from reports.say.comparison import Comparison, Mismatch, compare, lead
from tests.made.fake_suite import FakeSuite

WEIGHTS = "multimae-b-1600e"
TASK = {"task": "nyuv2-semseg", "inputs": "rgb"}


def settings_of(task: str) -> dict[str, Any]:
    """Return what a driver records of a run by the published recipe."""
    measured = next(row for row in all_published() if row.task == task).reproduced
    run = SuiteRun(
        suite="nyuv2", task=measured, dataset="nyuv2", inputs=("rgb",), checkpoint=WEIGHTS, seed=0,
        recipe=measured.recipes["paper"], size="base", profile="paper",
    )  # fmt: skip
    return settings(run)


def comparisons(
    tmp_path: Path,
    *,
    values: tuple[float, ...] = (51.5, 52.5, 51.7),
    checkpoint: str = WEIGHTS,
    dataset: str = "nyuv2",
    task: Mapping[str, str] = TASK,
    changed: Mapping[str, Any] | None = None,
    **others: Any,
) -> dict[str, Comparison]:
    """Compare a suite of one setting with what is published, by method: all the same but for what is given.

    `changed` are settings of a run.
    """
    faithful: dict[str, Any] = {"size": "base", "profile": "paper", "scoring": {"selection": "test"}}
    described = {**settings_of(task["task"]), **(changed or {})}
    suite = FakeSuite(runs_dir=tmp_path, settings=described, **(faithful | others))
    for seed, value in enumerate(values):
        run_dir = suite.add(**task, checkpoint=checkpoint, seed=seed, dataset=dataset)
        result = json.loads((run_dir / "result.json").read_text())
        for row in result["rows"]:
            row["value"] = value
        suite.write(run_dir / "result.json", result)
    suite.finish()
    results = read_suite(tmp_path, suite="nyuv2", now=time.time())
    return {found.published.method: found for found in compare(results, to_frame(results))}


def test_a_faithful_reproduction_gets_a_difference_and_a_verdict(tmp_path: Path) -> None:
    found = comparisons(tmp_path)["MultiMAE"]
    assert found.mismatches == ()
    assert found.standing == "matches"
    assert found.sentence == "−0.1; matches: the published number lies within our 95 % interval"
    assert found.ours == "multimae-b-1600e: 51.9 ± 1.3 (n = 3)"


@pytest.mark.parametrize(("shift", "standing"), [(5.0, "better"), (-5.0, "worse")])
def test_what_lies_outside_the_interval_is_named_by_its_side(tmp_path: Path, shift: float, standing: str) -> None:
    found = comparisons(tmp_path, values=(52.0 + shift, 52.1 + shift, 51.9 + shift))["MultiMAE"]
    assert found.standing == standing
    assert found.sentence.startswith(f"{'+' if shift > 0 else '−'}5.0; {standing}")


def test_one_seed_has_a_difference_and_no_verdict(tmp_path: Path) -> None:
    found = comparisons(tmp_path, values=(51.0,))["MultiMAE"]
    assert (found.standing, found.sentence) == ("open", "−1.0; one seed has no interval, so no verdict")


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"dataset": "rooms"}, "data set", "Rooms (rendered), not NYU Depth v2"),
        ({"size": "tiny"}, "size", "tiny, not ViT-B"),
        ({"checkpoint": "pretrain"}, "weights", "own pre-training, not multimae-b-1600e"),
        ({"changed": {"recipe.epochs": 5}}, "recipe", "5 epochs, not 200"),
        ({"changed": {"recipe.input_size": 96}}, "recipe", "96 pixels, not 640"),
        ({"changed": {"recipe.layer_decay": 0.9}}, "recipe", "layer_decay 0.9, not 0.75"),
        ({"changed": {"head": "segmenter"}}, "recipe", "head segmenter, not convnext"),
        ({"profile": "cpu"}, "recipe", "profile cpu, not paper"),
        ({"num_scored": 100}, "images", "100 test images, not 654"),
        (
            {"scoring": {"selection": "last"}},
            "selection",
            "the last weights, not the best on the test set (recipe.selection=test)",
        ),
    ],
)
def test_one_mismatch_is_named_and_takes_the_difference_away(
    tmp_path: Path, change: dict[str, Any], kind: str, text: str
) -> None:
    found = comparisons(tmp_path, **change)["MultiMAE"]
    assert kind in {mismatch.kind for mismatch in found.mismatches}
    extra = {"selection"} if "dataset" in change else set()
    assert {mismatch.kind for mismatch in found.mismatches} <= {kind} | extra
    assert found.sentence.startswith(f"not comparable: {text}")


@pytest.mark.parametrize("name", ["num_workers", "micro_batch_size", "cache"])
def test_what_changes_no_number_is_no_mismatch(tmp_path: Path, name: str) -> None:
    assert comparisons(tmp_path, changed={f"recipe.{name}": 3})["MultiMAE"].mismatches == ()


def test_sliding_windows_matter_only_under_the_protocol_they_belong_to(tmp_path: Path) -> None:
    sliding = {"recipe.inference": "slide"}
    assert comparisons(tmp_path / "semseg", changed=sliding)["MultiMAE"].mismatches == ()
    classified = comparisons(
        tmp_path / "cls", task={"task": "imagenet-cls", "inputs": "rgb"}, dataset="imagenet", changed=sliding
    )
    assert classified["MultiMAE"].mismatches == (Mismatch(kind="inference", text="inference slide, not whole"),)


def test_depth_is_compared_on_the_hundred_images_of_the_reference(tmp_path: Path) -> None:
    depth = {"task": "nyuv2-depth", "inputs": "rgb"}
    (mismatch,) = comparisons(tmp_path / "all", task=depth)["MultiMAE"].mismatches
    assert mismatch.text == "654 test images, not 100 (nyuv2-depth.paper_num_images=100)"
    few = comparisons(tmp_path / "few", task=depth, num_scored=100, changed={"recipe.paper_num_images": 100})
    assert few["MultiMAE"].mismatches == ()


def test_held_out_images_are_not_the_test_images(tmp_path: Path) -> None:
    found = comparisons(tmp_path, scoring={"selection": "test", "split": "val"})["MultiMAE"]
    assert found.sentence == "not comparable: scored on the val split, not on test images"


def test_a_diverged_training_takes_the_difference_away(tmp_path: Path) -> None:
    found = comparisons(tmp_path, values=(51.5, float("nan"), 52.0))["MultiMAE"]
    assert found.sentence == "not comparable: 1 training diverged"


def test_what_was_not_run_says_how_to_run_it(tmp_path: Path) -> None:
    found = comparisons(tmp_path)
    assert found["MAE"].sentence == "not run here: --checkpoints mae-b-1600e runs it"
    assert found["DeiT (supervised)"].sentence == "not run here: its weights are not in the catalogue"


def test_a_long_list_of_changed_settings_is_cut_short(tmp_path: Path) -> None:
    changed = {"recipe.epochs": 5, "recipe.input_size": 96, "recipe.lr": 1e-3, "recipe.batch_size": 4}
    assert comparisons(tmp_path, changed=changed)["MultiMAE"].sentence == (
        "not comparable: 5 epochs, not 200; 96 pixels, not 640; 2 more settings of the recipe"
    )


def test_runs_from_before_settings_were_recorded_are_never_compared(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path, size="base", profile="paper", scoring={"selection": "test"})
    run_dir = suite.add(**TASK, checkpoint=WEIGHTS, seed=0, dataset="nyuv2")
    described = json.loads((run_dir / "run.json").read_text())
    del described["settings"]
    suite.write(run_dir / "run.json", described)
    suite.finish()
    results = read_suite(tmp_path, suite="nyuv2", now=time.time())
    found = {one.published.method: one for one in compare(results, to_frame(results))}
    assert found["MultiMAE"].sentence == "not comparable: settings not recorded"


def test_the_lead_counts_what_can_be_compared_and_what_stands_in_the_way(tmp_path: Path) -> None:
    assert lead(list(comparisons(tmp_path / "whole").values())) == (
        "1 of 3 published numbers can be compared: 1 reached within our 95 % interval. Not run here: 2."
    )
    assert lead(list(comparisons(tmp_path / "rooms", dataset="rooms").values())) == (
        "None of 3 published numbers can be compared. What differs: data set (in 1). Not run here: 2."
    )


def test_page_and_markdown_show_the_published_numbers_with_source_and_caveat(tmp_path: Path) -> None:
    comparisons(tmp_path)
    report = make_report(tmp_path, "nyuv2")
    page, markdown = report.html.read_text("utf-8"), report.markdown.read_text("utf-8")
    assert '<details id="published-nyuv2-semseg" open>' in page
    for text in (page, markdown):
        assert "README of EPFL-VILAB/MultiMAE at 66910f5" in text
        assert "weights selected on the test set" in text
    assert (
        "| MultiMAE | rgb | mIoU (%) ↑, paper | 52.0 | multimae-b-1600e: 51.9 ± 1.3 (n = 3) | −0.1; matches:"
        in markdown
    )
    assert "## Published" not in markdown[: markdown.index("mAcc")], "it follows a task's last table"


def test_rooms_get_no_difference_anywhere(tmp_path: Path) -> None:
    comparisons(tmp_path, dataset="rooms")
    report = make_report(tmp_path, "nyuv2")
    assert '<details id="published-nyuv2-semseg">' in report.html.read_text("utf-8"), "folded: nothing to compare"
    assert "not comparable: Rooms (rendered), not NYU Depth v2" in report.markdown.read_text("utf-8")


@pytest.mark.parametrize("row", all_published(), ids=lambda row: f"{row.task}-{'+'.join(row.inputs)}-{row.method}")
def test_every_published_number_can_be_measured_here(row: Published) -> None:
    assert row.reproduced.name == row.task
    assert row.protocol in row.reproduced.protocols
    assert row.metric in METRICS
    assert row.size in SIZES
    assert row.checkpoint in CATALOGUE or not row.checkpoint
    assert "paper" in row.reproduced.recipes
    assert row.source

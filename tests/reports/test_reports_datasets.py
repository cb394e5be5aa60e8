"""Suites over several data sets and many tasks: whose numbers they are, the overview and its ranks, the scoring."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from multimae.tables.metrics import METRICS
from reports.make import Report, make_report
from reports.pages.overview import Overview, build_overview
from reports.read.results import COLUMNS
from reports.say import words
from reports.say.answers import PrimaryMetric
from tests.made.fake_suite import DOMAINS, TRANSFERS, FakeSuite

CHECKPOINTS = ("multimae-b-1600e", "mae-b-1600e", "scratch")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report of all transfers, each on its own data set, two seeds."""
    suite = FakeSuite(runs_dir=tmp_path_factory.mktemp("real"), suite="transfer", size="base", profile="paper")
    suite.add_transfers(checkpoints=CHECKPOINTS, seeds=2)
    suite.finish()
    return make_report(suite.runs_dir, "transfer")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report of all transfers with rooms standing in for every data set."""
    suite = FakeSuite(runs_dir=tmp_path_factory.mktemp("rooms"), suite="transfer")
    suite.add_transfers(checkpoints=("mae-b-1600e", "scratch"), seeds=1, dataset="rooms")
    suite.finish()
    return make_report(suite.runs_dir, "transfer")


def headings(markdown: str) -> list[str]:
    return re.findall(r"^## (.*)$", markdown, re.MULTILINE)


def test_every_number_carries_its_own_data_set(real: Report) -> None:
    frame = pd.read_parquet(real.parquet)
    found = {(row.dataset, row.task) for row in frame.itertuples()}
    assert found == {(dataset, task) for dataset, task, _ in TRANSFERS}
    csv_text = real.csv.read_text("utf-8")
    assert "ade20k-semseg,ade20k," in csv_text
    assert "taskonomy-normal,taskonomy," in csv_text


def test_headings_name_the_data_set_of_the_task(real: Report) -> None:
    found = headings(real.markdown.read_text("utf-8"))
    assert "Semantic segmentation on ADE20K: mIoU (%) ↑" in found
    assert "Principal curvature on Taskonomy: L1 ↓" in found
    page = real.html.read_text("utf-8")
    assert "ImageNet-1K, ADE20K, Hypersim, NYU Depth v2 and Taskonomy" in page
    assert "1,281,167 + 50,000" in page
    assert "never to be compared" not in page


def test_on_rooms_every_table_says_rooms_and_whose_task_it_is(rooms: Report) -> None:
    markdown = rooms.markdown.read_text("utf-8")
    tables = headings(markdown)[1:]
    assert tables
    assert all("on Rooms (rendered)" in heading for heading in tables)
    assert any(heading.startswith("Semantic segmentation (ade20k-semseg) on Rooms") for heading in tables)
    assert markdown.count("- Rendered rooms, not photographs") == len(tables)
    assert set(pd.read_parquet(rooms.parquet)["dataset"]) == {"rooms"}


def test_a_sweep_of_before_keeps_its_counts(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    path = tmp_path / "nyuv2" / "sweep.json"
    sweep = json.loads(path.read_text())
    del sweep["datasets"]
    suite.write(path, sweep | {"num_train": 241, "num_test": 81})
    assert "<dd>241 + 81</dd>" in make_report(tmp_path, "nyuv2").html.read_text("utf-8")


def test_files_from_a_folder_of_another_name_may_be_others(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path, suite="imagenet")
    suite.add(task="imagenet-cls", checkpoint="scratch", inputs="rgb", seed=0, dataset="imagenet")
    suite.finish()
    path = tmp_path / "imagenet" / "sweep.json"
    sweep = json.loads(path.read_text())
    said = "Files in the layout of ImageNet-1K were read from a folder called flowers."
    for folder, shown in (("imagenet", False), ("flowers", True)):
        sweep["datasets"]["imagenet"]["folder"] = folder
        suite.write(path, sweep)
        assert (said in make_report(tmp_path, "imagenet").html.read_text("utf-8")) is shown


def test_domains_have_names_and_enough_decimals(real: Report) -> None:
    assert {words.task_label(f"taskonomy-{domain}") for domain in DOMAINS}.isdisjoint(
        f"taskonomy-{domain}" for domain in DOMAINS
    )
    assert words.number(0.02137, metric=METRICS["l1"]) == "0.0214"
    assert re.search(r"0\.0\d{3} ± 0\.\d{4}", real.markdown.read_text("utf-8"))


def test_every_domain_is_answered_and_pictured(real: Report) -> None:
    page = real.html.read_text("utf-8")
    answers = page[page.index('<section id="answers">') : page.index('<section id="results">')]
    samples = page[page.index('<section id="samples">') : page.index('<section id="runs">')]
    for domain in DOMAINS:
        assert f"taskonomy-{domain}" in answers
        assert f"{words.task_label(f'taskonomy-{domain}')} on Taskonomy" in samples
    assert re.search(r"−0\.00\d\d \[.*\] L1", answers)


def overview_of(values: dict[tuple[str, str, str], list[float]], *, checkpoints: tuple[str, ...]) -> Overview:
    """Build the overview of five tasks; `values` by task, metric and checkpoint, the rest at 1, 2, ... in its order."""
    metrics = {"a-semseg": "miou", "b-semseg": "miou", "c-depth": "delta1", "d-normal": "l1", "e-normal": "l1"}
    rows = []
    for task, metric in metrics.items():
        for place, checkpoint in enumerate(checkpoints):
            for seed, value in enumerate(values.get((task, metric, checkpoint), [1.0 + place])):
                status = "finished" if value == value else "diverged"
                rows.append(
                    {
                        "run": f"{task}-{checkpoint}-{seed}", "task": task, "checkpoint": checkpoint, "inputs": "rgb",
                        "seed": seed, "dataset": "nyuv2", "protocol": "standard", "metric": metric, "value": value,
                        "status": status,
                    }
                )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    primaries = [PrimaryMetric(task=task, metric=metric, protocol="standard") for task, metric in metrics.items()]
    overview = build_overview(frame, primaries=primaries)
    assert overview is not None
    return overview


def test_equal_means_share_the_average_of_their_ranks() -> None:
    tied = {("a-semseg", "miou", name): [3.0] for name in ("u", "v", "w")} | {("b-semseg", "miou", "u"): [2.0]}
    # a: all 2; b: 2, 2, 3 with more better, so 2.5, 2.5, 1; c: 3, 2, 1; d and e: 1, 2, 3.
    expected = ((2 + 2.5 + 3 + 1 + 1) / 5, (2 + 2.5 + 2 + 2 + 2) / 5, (2 + 1 + 1 + 3 + 3) / 5)
    assert overview_of(tied, checkpoints=("u", "v", "w")).mean_ranks == pytest.approx(expected)


def test_the_mean_rank_follows_each_metric_s_direction() -> None:
    # Values 1, 2, 3: ranks 3, 2, 1 in three tasks where more is better, 1, 2, 3 in two where less is.
    assert overview_of({}, checkpoints=("u", "v", "w")).mean_ranks == pytest.approx((11 / 5, 2, 9 / 5))


def test_equal_means_share_a_rank() -> None:
    tied = {(task, "miou", "u"): [2.0] for task in ("a-semseg", "b-semseg")}
    # u and v: 1.5 and 1.5 twice, 2 and 1 once, 1 and 2 twice.
    assert overview_of(tied, checkpoints=("u", "v")).mean_ranks == pytest.approx((7 / 5, 8 / 5))


def test_a_row_with_a_diverged_training_is_shown_and_not_ranked() -> None:
    overview = overview_of({("a-semseg", "miou", "v"): [9.0, float("nan")]}, checkpoints=("u", "v"))
    assert overview.rows[0].means == ()
    assert "over the 4 of 5 rows" in overview.notes[1]
    assert overview.mean_ranks == pytest.approx((6 / 4, 6 / 4))


def test_the_best_of_a_row_is_marked_as_elsewhere() -> None:
    clear = {("d-normal", "l1", "u"): [0.020, 0.021, 0.0205], ("d-normal", "l1", "v"): [0.030, 0.0312, 0.0305]}
    overview = overview_of(clear, checkpoints=("u", "v"))
    assert [cell.mark for cell in overview.rows[3].cells] == ["best", "none"]
    assert [cell.mark for cell in overview.rows[0].cells] == ["none", "none"], "one seed, no test"


def test_few_transfers_need_no_overview(tmp_path: Path, real: Report) -> None:
    assert '<section id="overview">' in real.html.read_text("utf-8")
    assert headings(real.markdown.read_text("utf-8"))[0].startswith("All transfers")
    assert "mean rank" in real.latex.read_text("utf-8")
    suite = FakeSuite(runs_dir=tmp_path)
    for inputs in ("rgb", "depth"):
        suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs=inputs, seed=0)
    suite.finish()
    assert 'id="overview"' not in make_report(tmp_path, "nyuv2").html.read_text("utf-8")


@pytest.mark.parametrize(("selection", "said"), [("test", True), ("last", False), ("validation", False)])
def test_selection_on_the_test_set_stands_in_the_head_of_every_table(
    tmp_path: Path, selection: str, said: bool
) -> None:
    suite = FakeSuite(runs_dir=tmp_path, scoring={"selection": selection})
    suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    report = make_report(tmp_path, "nyuv2")
    assert ("| | rgb (standard, selected on the test set)" in report.markdown.read_text("utf-8")) is said
    assert ("standard protocol, selected on the test set</th>" in report.html.read_text("utf-8")) is said
    assert ("{standard, selected on the test set}" in report.latex.read_text("utf-8")) is said
    assert ("best on held-out validation images" in report.markdown.read_text("utf-8")) is (selection == "validation")
    assert set(pd.read_parquet(report.parquet).query("checkpoint == 'scratch'")["selection"]) == {selection}


def test_ways_of_inference_stand_in_the_caption_and_in_the_frame(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path, settings={"recipe.inference": "slide", "recipe.flip": "average"})
    suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    report = make_report(tmp_path, "nyuv2")
    said = "predictions of the standard protocol by a sliding window and averaged over the image and its mirror image"
    assert all(said in path.read_text("utf-8") for path in (report.html, report.markdown, report.latex))
    frame = pd.read_parquet(report.parquet).query("checkpoint == 'scratch'")
    ways = frame.groupby("protocol")[["inference", "flip"]].first().to_dict("index")
    assert ways == {
        "standard": {"inference": "slide", "flip": "average"},
        "paper": {"inference": "whole", "flip": "none"},
    }


def test_the_number_of_test_images_is_said_by_protocol(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    run_dir = suite.add(task="nyuv2-depth", checkpoint="scratch", inputs="rgb", seed=0, dataset="nyuv2")
    suite.finish()
    assert "- 654 test images" in make_report(tmp_path, "nyuv2").markdown.read_text("utf-8")
    result = json.loads((run_dir / "result.json").read_text())
    for row in result["rows"]:
        row["n"] = 100 if row["protocol"] == "paper" else 654
    suite.write(run_dir / "result.json", result)
    assert "- test images: 654 (standard), 100 (paper)" in make_report(tmp_path, "nyuv2").markdown.read_text("utf-8")


def test_runs_that_earlier_code_scored_are_counted_under_the_table_and_named_in_the_list(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    earlier, current = (suite.add(task="nyuv2-depth", checkpoint="scratch", inputs="rgb", seed=seed) for seed in (0, 1))
    suite.finish()
    for folder, scored_by in ((earlier, "0"), (current, "1")):
        for name, value in (("run.json", "1"), ("result.json", scored_by)):
            record = json.loads((folder / name).read_text())
            suite.write(folder / name, record | {"scoring": {"multimae.evaluation.depth": value}})
    report = make_report(tmp_path, "nyuv2")
    assert "- 1 run has scores of earlier code" in report.markdown.read_text("utf-8")
    assert ">scores of earlier code: evaluation/depth.py changed" in report.html.read_text("utf-8")
    frame = pd.read_parquet(report.parquet)
    assert set(frame.loc[frame["run"] == earlier.name, "scored_by"]) == {"earlier code"}
    assert set(frame.loc[frame["run"] == current.name, "scored_by"]) == {"current code"}


def test_codes_of_depth_that_count_as_no_reading_are_said(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path, suite="transfer")
    suite.add_transfers(checkpoints=("scratch",), seeds=1, dataset="rooms")
    suite.finish()
    sweep = tmp_path / "transfer" / "sweep.json"
    facts = json.loads(sweep.read_text())
    facts["datasets"]["rooms"]["invalid_depth"] = [60000, 65535]
    sweep.write_text(json.dumps(facts))
    page = make_report(tmp_path, "transfer").html.read_text("utf-8")
    assert "Rooms (rendered): depth: 0, 60000 and 65535 count as no reading" in page
    assert "count as no reading" not in words.no_reading({})

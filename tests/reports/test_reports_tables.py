"""Tables and answers from small frames whose numbers can be followed by hand."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest

from multimae.record.events import Curve
from multimae.tables.metrics import METRICS
from reports.draw.figures import Line, Panel, draw, interval, mean_curve, thinned
from reports.pages import render
from reports.read.results import COLUMNS, CONSTANT
from reports.say import words
from reports.say.answers import Answer, PrimaryMetric, answer, corrected, lead
from reports.say.losses import losses_of
from reports.say.tables import build_table, footnotes

Setting = tuple[str, str]


def frame_of(
    values: Mapping[Setting, Sequence[float]], *, metric: str = "miou", dataset: str = "nyuv2"
) -> pd.DataFrame:
    """Lay out one value per seed; NaN is a training that diverged."""
    rows = [
        {
            "run": f"{checkpoint}-{inputs}-{seed}", "task": "nyuv2-semseg", "checkpoint": checkpoint, "inputs": inputs,
            "seed": seed, "dataset": dataset, "protocol": "standard", "metric": metric, "value": value,
            "status": "diverged" if math.isnan(value) else "finished",
        }
        for (checkpoint, inputs), numbers in values.items()
        for seed, value in enumerate(numbers)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def marks_of(values: Mapping[Setting, Sequence[float]], *, metric: str = "miou") -> dict[Setting, str]:
    frame = frame_of(values, metric=metric)
    table = build_table(frame, task="nyuv2-semseg", metrics=[metric], protocols=["standard"])
    return {
        (row.checkpoint, column.inputs): cell.mark
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }


def answers_of(values: Mapping[Setting, Sequence[float]], *, metric: str = "miou") -> dict[str, Answer]:
    primary = PrimaryMetric(task="nyuv2-semseg", metric=metric, protocol="standard")
    found = answer(frame_of(values, metric=metric), primary=primary)
    questions = dict.fromkeys(one.question for one in found)
    return {
        question: one for question in questions for one in corrected([one for one in found if one.question == question])
    }


CLOSE = {("pretrain", "rgb"): [20.0, 22.0, 21.0], ("scratch", "rgb"): [19.0, 22.5, 20.0]}
APART = {("pretrain", "rgb"): [20.0, 22.0, 21.0], ("scratch", "rgb"): [15.1, 16.9, 16.0]}


def test_what_the_test_cannot_tell_apart_is_bold_with_the_best() -> None:
    assert marks_of(CLOSE) == {("pretrain", "rgb"): "best", ("scratch", "rgb"): "tied"}
    assert marks_of(APART) == {("pretrain", "rgb"): "best", ("scratch", "rgb"): "none"}


def test_the_best_error_is_the_smallest() -> None:
    assert marks_of(APART, metric="rmse") == {("pretrain", "rgb"): "none", ("scratch", "rgb"): "best"}


def test_a_setting_with_a_diverged_seed_cannot_be_best() -> None:
    lucky = APART | {("pretrain", "depth"): [90.0, math.nan, 91.0]}
    assert marks_of(lucky)[("pretrain", "depth")] == "none"
    assert marks_of(lucky)[("pretrain", "rgb")] == "best"


def test_nothing_is_best_without_a_test() -> None:
    assert set(marks_of({("pretrain", "rgb"): [20.0], ("scratch", "rgb"): [10.0]}).values()) == {"none"}
    assert set(marks_of({("pretrain", "rgb"): [20.0, 21.0]}).values()) == {"none"}


def test_cells_show_mean_interval_and_count() -> None:
    frame = frame_of({("pretrain", "rgb"): [1.0, 2.0, 3.0], ("scratch", "rgb"): [1.0, math.nan]})
    table = build_table(frame, task="nyuv2-semseg", metrics=["miou"], protocols=["standard"])
    pretrained, scratch = (row.cells[0] for row in table.rows)
    assert (pretrained.number(table.rows[0].metric), pretrained.note) == ("2.0 ± 2.5", "n = 3")
    assert (scratch.number(table.rows[0].metric), scratch.note) == ("1.0", "n = 1 of 2; 1 diverged")
    assert any("never averaged" in note for note in footnotes(table))


def test_all_seeds_diverged_is_said_in_one_word() -> None:
    frame = frame_of({("scratch", "rgb"): [math.nan, math.nan]})
    cell = build_table(frame, task="nyuv2-semseg", metrics=["miou"], protocols=["standard"]).rows[0].cells[0]
    assert (cell.number(METRICS["miou"]), cell.note) == ("", "diverged")


def test_three_formats_show_the_same_cell() -> None:
    frame = frame_of(APART, dataset="rooms")
    table = build_table(frame, task="nyuv2-semseg", metrics=["miou"], protocols=["standard"])
    assert "| pre-trained | **21.0 ± 2.5** (n = 3) |" in render.markdown([table], title="nyuv2")
    latex = render.latex([table], title="nyuv2")
    assert r"pre-trained & {\bfseries\boldmath 21.0 $\pm$ 2.5} {\scriptsize (n = 3)} \\" in latex
    assert "nyuv2-semseg,rooms,pretrain,rgb,standard,miou,%,True,21.0," in render.csv_text([table])
    for text in (render.markdown([table], title="x"), latex):
        assert "never to be compared with published numbers" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5 % #1", r"a\_b \& 5 \% \#1"),
        ("δ1 ↑ ±", r"$\delta$1 $\uparrow$ $\pm$"),
        (r"{x}~\^", r"\{x\}\textasciitilde{}\textbackslash{}\textasciicircum{}"),
    ],
)
def test_latex_escapes(text: str, escaped: str) -> None:
    assert render.escape_latex(text) == escaped


def test_a_difference_is_called_by_its_evidence() -> None:
    clear = answers_of(APART)["pretraining"]
    assert clear.verdict == "better"
    assert clear.effect == "+5.0 [4.8, 5.2] mIoU"
    unclear = answers_of(CLOSE)["pretraining"]
    assert unclear.verdict == "unclear"
    assert unclear.sentence.startswith("no difference can be told with 3 seeds (p = ")


def test_direction_belongs_to_the_metric() -> None:
    worse = answers_of(APART, metric="rmse")["pretraining"]
    assert worse.verdict == "worse"
    assert worse.sentence.startswith("pre-training hurts")


def test_many_questions_turn_a_claim_into_a_hint() -> None:
    single = answers_of(APART | {("pretrain", "rgb"): [17.0, 18.0, 18.5]})["pretraining"]
    assert single.verdict == "better"
    family = corrected([single] * 4)
    assert {one.verdict for one in family} == {"hint"}
    assert "a hint that pre-training helps" in family[0].sentence
    assert lead("pretraining", family) == "There is a hint, no more, in 4 of 4 settings."


def test_depth_is_compared_with_the_same_inputs_without_it() -> None:
    found = answers_of({("scratch", "rgb"): [10.0, 11.0, 12.0], ("scratch", "rgb+depth"): [13.0, 14.0, 15.2]})["depth"]
    assert found.difference.mean == pytest.approx(3.0667, abs=1e-3)
    assert found.setting == "from scratch, added to rgb"


def losses_frame(task: str, numbers: Mapping[str, float], constants: Mapping[str, float]) -> pd.DataFrame:
    rows = [
        {
            "run": task, "task": task, "checkpoint": checkpoint, "inputs": "rgb", "seed": 0, "dataset": "nyuv2",
            "protocol": "masked", "metric": metric, "value": value, "status": "finished",
        }
        for checkpoint, values in (("scratch", numbers), (CONSTANT, constants))
        for metric, value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_all_pretrainings_share_a_table_and_the_constants_are_said_once() -> None:
    one = losses_frame("nyuv2-pretrain", {"loss_rgb": 0.5, "loss_depth": 0.4}, {"loss_rgb": 0.9, "loss_depth": 1.0})
    two = losses_frame("nyuv2-rgb-pretrain", {"loss_rgb": 0.6}, {"loss_rgb": 0.9})
    tables = [
        build_table(frame, task=frame["task"].iloc[0], metrics=sorted(set(frame["metric"])), protocols=["masked"])
        for frame in (one, two)
    ]
    losses = losses_of(tables)
    assert [metric.name for metric in losses.metrics] == ["loss_rgb", "loss_depth"]
    assert [(row.label, row.numbers) for row in losses.rows] == [
        ("Pre-training on rgb", ("0.500", "0.400")),
        ("Pre-training (rgb) on rgb", ("0.600", "")),
        ("constant predictor", ("0.900", "1.000")),
    ]


def test_several_pretrainings_are_compared_with_scratch_and_with_the_suite_s_own() -> None:
    frame = frame_of(APART | {("alpha5", "rgb"): [26.0, 28.1, 27.0]})
    found = answer(frame, primary=PrimaryMetric(task="nyuv2-semseg", metric="miou", protocol="standard"))
    said = {(one.question, one.setting): one.difference.mean for one in found if one.question != "baseline"}
    assert said == {
        ("pretraining", "pre-trained, from rgb"): pytest.approx(5.0),
        ("pretraining", "alpha5, from rgb"): pytest.approx(11.0333, abs=1e-3),
        ("variant", "alpha5, from rgb"): pytest.approx(6.0333, abs=1e-3),
    }


def test_long_curves_are_averaged_and_keep_their_mean() -> None:
    curve = Curve(steps=tuple(range(1000)), values=tuple(float(step % 2) for step in range(1000)))
    short = thinned(curve)
    assert len(short.steps) == 120
    assert sum(short.values) / 120 == pytest.approx(0.5, abs=0.02)


def test_the_mean_curve_ends_where_the_shortest_ends() -> None:
    mean = mean_curve([Curve(steps=(0, 2, 4), values=(0.0, 2.0, 4.0)), Curve(steps=(0, 1, 2), values=(2.0, 3.0, 4.0))])
    assert mean.steps == (0, 1, 2)
    assert mean.values == (1.0, 2.0, 3.0)


def test_a_figure_names_its_lines_and_carries_no_address() -> None:
    line = Line(group="pretrain", name="pre-trained, seed 1", curve=Curve(steps=(1, 2), values=(3.0, 2.0)))
    empty = Panel(title="later", ylabel="loss", lines=())
    svg = draw([[Panel(title="now", ylabel="loss", lines=(line,)), empty]], labels={"pretrain": "pre-trained"})
    assert "<title>pre-trained, seed 1: 2 at step 2</title>" in svg
    assert "nothing yet" in svg
    assert "http" not in svg


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow_head() -> None:
    assert "<path" in interval(-9.0, 1.0, 11.0, reach=4.0, verdict="unclear")
    assert "<path" not in interval(-1.0, 1.0, 3.0, reach=4.0, verdict="unclear")
    assert interval(math.nan, math.nan, math.nan, reach=1.0, verdict="open") == ""


def test_spans_read_like_speech() -> None:
    assert [words.duration(seconds) for seconds in (42, 720, 11_100)] == ["42 s", "12 min", "3 h 05 min"]

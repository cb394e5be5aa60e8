"""From the tidy frame to tables of cells: means, intervals, which cells share the lead, and why a number is missing."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from multimae.tables.metrics import METRICS, Metric
from reports.read.results import CONSTANT, inputs_order, metric_of
from reports.say import words
from reports.say.scoring import TaskScoring, scoring_notes, scorings_of
from reports.say.stats import ALPHA, Summary, holm, paired_difference, summarise

if TYPE_CHECKING:
    import pandas as pd

Mark = Literal["best", "tied", "none"]
FrameRow = Mapping[Hashable, Any]
Place = TypeVar("Place", bound=Hashable)


class Setting(NamedTuple):
    """What is trained, seeds aside."""

    task: str
    checkpoint: str
    inputs: str


@dataclass(frozen=True, kw_only=True)
class Column:
    protocol: str
    inputs: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One setting under one protocol. `values` maps seed to value; `missing` counts runs without one by their status.

    `mark`: "best" has the best mean, "tied" could not be told apart from it by the test.
    """

    values: Mapping[int, float]
    missing: Mapping[str, int]
    baseline: bool
    mark: Mark = "none"

    @cached_property
    def summary(self) -> Summary:
        return summarise(list(self.values.values()))

    @property
    def planned(self) -> int:
        return len(self.values) + sum(self.missing.values())

    @property
    def comparable(self) -> bool:
        """Whether a test may use it: at least two seeds, none of which diverged, since survivors flatter."""
        return not self.baseline and self.summary.n >= 2 and self.summary.num_diverged == 0

    def number(self, metric: Metric) -> str:
        """Write mean ± half-width; empty when there is no value."""
        summary = self.summary
        if not summary.n:
            return ""
        mean = words.number(summary.mean, metric=metric)
        return mean if self.baseline or summary.n < 2 else f"{mean} ± {words.number(summary.half_width, metric=metric)}"

    @property
    def note(self) -> str:
        """Say how many seeds stand behind the number, and what became of the others."""
        if self.baseline:
            return "" if self.summary.n else "not measured"
        reasons = self._reasons()
        if not self.summary.n:
            return reasons or "not planned"
        counted = f"n = {self.summary.n}" + (f" of {self.planned}" if self.planned > self.summary.n else "")
        return f"{counted}; {reasons}" if reasons else counted

    def _reasons(self) -> str:
        gone = Counter(self.missing) + Counter({"diverged": self.summary.num_diverged})
        if len(gone) == 1 and not self.summary.n:
            return next(iter(gone))
        return ", ".join(f"{times} {reason}" for reason, times in sorted(gone.items()))


@dataclass(frozen=True, kw_only=True)
class Row:
    metric: Metric
    checkpoint: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows are metrics x checkpoints, columns protocols x inputs. `num_seeds` are those behind the compared cells."""

    task: str
    dataset: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    num_seeds: tuple[int, ...]
    scorings: tuple[TaskScoring, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(dict.fromkeys(row.metric for row in self.rows))

    @property
    def spans(self) -> tuple[tuple[str, int], ...]:
        """Each protocol with its number of columns, for a heading above them."""
        return tuple((name, len(list(group))) for name, group in groupby(self.columns, lambda column: column.protocol))

    def remark(self, protocol: str) -> str:
        """Say what nobody may overlook about a protocol's numbers, to follow its name."""
        return next(scoring.remark for scoring in self.scorings if scoring.protocol == protocol)


def build_table(frame: "pd.DataFrame", *, task: str, metrics: Sequence[str], protocols: Sequence[str]) -> Table:
    """Summarise `task` over its seeds and mark, within each metric and protocol, the cells that share the lead."""
    of_task = frame[frame["task"] == task]
    settings = split(of_task)
    checkpoints = sorted({setting.checkpoint for setting in settings}, key=checkpoint_order)
    all_inputs = sorted({setting.inputs for setting in settings}, key=inputs_order)
    columns = tuple(Column(protocol=protocol, inputs=inputs) for protocol in protocols for inputs in all_inputs)
    rows = [
        Row(
            metric=metric_of(name),
            checkpoint=checkpoint,
            cells=tuple(
                cell_of(
                    settings.get(Setting(task, checkpoint, column.inputs), ()),
                    protocol=column.protocol,
                    metric=name,
                    baseline=checkpoint == CONSTANT,
                )
                for column in columns
            ),
        )
        for name in metrics
        for checkpoint in checkpoints
    ]
    return Table(
        task=task,
        dataset=str(of_task["dataset"].iloc[0]),
        columns=columns,
        rows=_marked(rows, columns=columns),
        num_seeds=tuple(sorted({cell.summary.n for row in rows for cell in row.cells if cell.comparable})),
        scorings=scorings_of(of_task, task=task, protocols=protocols),
    )


def split(frame: "pd.DataFrame") -> dict[Setting, list[FrameRow]]:
    """Sort the frame's rows by what was trained, leaving out nothing but the seed."""
    settings: dict[Setting, list[FrameRow]] = {}
    for row in frame.to_dict("records"):
        settings.setdefault(Setting(row["task"], row["checkpoint"], row["inputs"]), []).append(row)
    return settings


def values_by_seed(rows: Sequence[FrameRow], *, protocol: str, metric: str) -> dict[int, float]:
    """Return one setting's values; NaN where the training diverged, with or without leaving a result."""
    values: dict[int, float] = {}
    for row in rows:
        gone = row["status"] == "diverged" and not isinstance(row["metric"], str)
        if not gone and (row["protocol"], row["metric"]) != (protocol, metric):
            continue
        if row["seed"] in values:
            raise ValueError(
                f"run {row['run']} has the task, checkpoint, inputs and seed of another run of this plan; "
                "a table cannot tell them apart, so put one of them into a suite of its own"
            )
        values[int(row["seed"])] = float(row["value"])
    return values


def protocols_of(frame: "pd.DataFrame", *, task: str, otherwise: str) -> tuple[str, ...]:
    """List the protocols `task` was scored under, the field's own first; `otherwise` while nothing has finished."""
    found = set(frame.loc[frame["task"] == task, "protocol"].dropna())
    known = list(words.PROTOCOLS)
    return tuple(sorted(found, key=lambda name: known.index(name) if name in known else len(known))) or (otherwise,)


def metrics_of(frame: "pd.DataFrame", *, task: str) -> tuple[str, ...]:
    """List the metrics measured for `task`, in the order of the metrics' table."""
    found = set(frame.loc[frame["task"] == task, "metric"].dropna())
    return tuple(name for name in METRICS if name in found)


def footnotes(table: Table) -> tuple[str, ...]:
    """Name the interval and the test, and what they leave out."""
    notes = [
        "mean ± half-width of the 95 % t interval over n training seeds; it covers the spread between trainings, "
        "not the choice of test images"
    ]
    if not any(cell.mark == "best" for row in table.rows for cell in row.cells):
        notes.append("nothing is bold: a test needs two settings with at least two finished seeds each, none diverged")
    else:
        seeds = " or ".join(str(n) for n in table.num_seeds)
        notes.append(
            "bold: the best mean of its metric and protocol, and what a paired t test over seeds (Holm-corrected, "
            f"α = {ALPHA}) cannot distinguish from it; with {seeds} seeds only large differences show, so bold does "
            "not mean equal"
        )
    if any(cell.summary.num_diverged for row in table.rows for cell in row.cells):
        notes.append("diverged trainings are counted, never averaged; a setting with one takes no part in the test")
    notes += scoring_notes(table.scorings)
    if caveat := words.dataset_caveat(table.dataset):
        notes.append(caveat.removesuffix("."))
    return tuple(notes)


def cell_of(rows: Sequence[FrameRow], *, protocol: str, metric: str, baseline: bool = False) -> Cell:
    """Sum up one setting's rows of the frame; a seed without a value is counted under its reason."""
    values = values_by_seed(rows, protocol=protocol, metric=metric)
    status_of_seed = {int(row["seed"]): str(row["status"]) for row in rows}
    missing = Counter(
        "not measured" if status == "finished" else status
        for seed, status in status_of_seed.items()
        if seed not in values
    )
    return Cell(values=values, missing=dict(missing), baseline=baseline)


def _marked(rows: Sequence[Row], *, columns: Sequence[Column]) -> tuple[Row, ...]:
    marks: dict[tuple[int, int], Mark] = {}
    for metric in {row.metric for row in rows}:
        for protocol in {column.protocol for column in columns}:
            candidates = {
                (i, j): rows[i].cells[j]
                for i, row in enumerate(rows)
                for j, column in enumerate(columns)
                if row.metric == metric and column.protocol == protocol and row.cells[j].comparable
            }
            marks |= marks_of(candidates, higher_is_better=metric.higher_is_better)
    return tuple(
        replace(row, cells=tuple(replace(cell, mark=marks.get((i, j), "none")) for j, cell in enumerate(row.cells)))
        for i, row in enumerate(rows)
    )


def marks_of(candidates: Mapping[Place, Cell], *, higher_is_better: bool) -> dict[Place, Mark]:
    """Mark the best of comparable cells and what a paired t test, Holm-corrected, cannot tell apart from it."""
    if len(candidates) < 2:
        return {}
    sign = 1 if higher_is_better else -1
    best = max(candidates, key=lambda place: sign * candidates[place].summary.mean)
    tests = {
        place: paired_difference(cell.values, minus=candidates[best].values)
        for place, cell in candidates.items()
        if place != best
    }
    tested = [place for place, test in tests.items() if test.n >= 2]
    adjusted = dict(zip(tested, holm([tests[place].p_value for place in tested]), strict=True))
    tied: dict[Place, Mark] = {place: "tied" for place, p in adjusted.items() if p >= ALPHA}
    return tied | {best: "best"}


def checkpoint_order(checkpoint: str) -> tuple[int, str]:
    """Sort key: the suite's pre-training, from scratch, all others by name, and the constant predictor last."""
    known = ("pretrain", "scratch")
    if checkpoint == CONSTANT:
        return len(known) + 1, checkpoint
    return (known.index(checkpoint) if checkpoint in known else len(known)), checkpoint

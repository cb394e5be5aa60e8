"""All transfers of a suite at a glance: a row each, a column per checkpoint, and how the checkpoints rank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scipy.stats import rankdata

from multimae.tables.metrics import Metric
from reports.read.results import CONSTANT, inputs_order, metric_of
from reports.say import words
from reports.say.answers import PrimaryMetric
from reports.say.scoring import TaskScoring, scorings_of
from reports.say.stats import ALPHA
from reports.say.tables import Cell, FrameRow, cell_of, checkpoint_order, marks_of, split

if TYPE_CHECKING:
    import pandas as pd

MIN_TRANSFERS = 5
"""Fewer fit on a screen as they are."""


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """One task from one set of inputs, in its primary metric and protocol, with a cell per checkpoint."""

    task: str
    dataset: str
    inputs: str
    metric: Metric
    scoring: TaskScoring
    cells: tuple[Cell, ...]

    @property
    def how(self) -> str:
        """Say how it was scored: protocol, and what is out of the ordinary about it."""
        protocol = f"{self.scoring.protocol} protocol{self.scoring.remark}"
        return f"{protocol}; {self.scoring.ways}" if self.scoring.ways else protocol

    @property
    def means(self) -> tuple[float, ...]:
        """The numbers to rank by: of every checkpoint, or none where one has no number or a diverged training."""
        whole = all(cell.summary.n and not cell.summary.num_diverged for cell in self.cells)
        return tuple(cell.summary.mean for cell in self.cells) if whole else ()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Rows are what is measured, columns `checkpoints`."""

    checkpoints: tuple[str, ...]
    rows: tuple[OverviewRow, ...]

    @property
    def how(self) -> str:
        """Say how all rows were scored; empty where they differ."""
        found = {row.how for row in self.rows}
        return found.pop() if len(found) == 1 else ""

    @property
    def caption(self) -> str:
        return "; ".join(["All transfers, in each task's primary metric", *([self.how] if self.how else [])])

    def metric_label(self, row: OverviewRow) -> str:
        """Name a row's metric, and how it was scored where not all are alike."""
        label = words.metric_label(row.metric)
        return label if self.how else f"{label}, {row.how}"

    @property
    def mean_ranks(self) -> tuple[float, ...]:
        """The mean rank of each checkpoint over the rows that can be ranked, 1 the best; nothing if none can."""
        ranked = [_ranks(row) for row in self.rows if row.means] if len(self.checkpoints) > 1 else []
        return tuple(sum(column) / len(ranked) for column in zip(*ranked, strict=True))

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what is bold, and how the mean rank is computed."""
        bold = (
            f"bold: the best mean of its row, and what a paired t test over seeds (Holm-corrected within the row, "
            f"α = {ALPHA}) cannot distinguish from it; the tables below compare all inputs of a task and may differ"
        )
        if not self.mean_ranks:
            return (bold,)
        num_ranked = sum(bool(row.means) for row in self.rows)
        return (
            bold,
            f"mean rank: in each row the checkpoints are ranked by the mean of the primary metric, 1 the best, equal "
            f"means sharing the average of their ranks; then averaged over the {num_ranked} of "
            f"{words.count(len(self.rows), 'row')} in which every checkpoint has a number and none diverged. A rank "
            "knows neither how far apart numbers are nor whether a test can tell them apart",
        )


def build_overview(frame: "pd.DataFrame", *, primaries: Sequence[PrimaryMetric]) -> Overview | None:
    """Lay out the primary numbers of all transfers; None where there are so few that their own tables do."""
    judged = {primary.task: primary for primary in primaries}
    settings = {
        setting: rows
        for setting, rows in split(frame[frame["task"].isin(list(judged))]).items()
        if setting.checkpoint != CONSTANT
    }
    transfers = sorted(
        {setting._replace(checkpoint="") for setting in settings},
        key=lambda transfer: (list(judged).index(transfer.task), inputs_order(transfer.inputs)),
    )
    if len(transfers) < MIN_TRANSFERS:
        return None
    checkpoints = tuple(sorted({setting.checkpoint for setting in settings}, key=checkpoint_order))
    return Overview(
        checkpoints=checkpoints,
        rows=tuple(
            _row(
                [settings.get(transfer._replace(checkpoint=checkpoint), []) for checkpoint in checkpoints],
                primary=judged[transfer.task],
                inputs=transfer.inputs,
                scoring=_scoring(frame, primary=judged[transfer.task]),
            )
            for transfer in transfers
        ),
    )


def _row(
    settings: Sequence[Sequence[FrameRow]], *, primary: PrimaryMetric, inputs: str, scoring: TaskScoring
) -> OverviewRow:
    metric = metric_of(primary.metric)
    cells = [cell_of(rows, protocol=primary.protocol, metric=primary.metric) for rows in settings]
    candidates = {place: cell for place, cell in enumerate(cells) if cell.comparable}
    marks = marks_of(candidates, higher_is_better=metric.higher_is_better)
    return OverviewRow(
        task=primary.task,
        dataset=next(str(row["dataset"]) for rows in settings for row in rows),
        inputs=inputs,
        metric=metric,
        scoring=scoring,
        cells=tuple(replace(cell, mark=marks.get(place, "none")) for place, cell in enumerate(cells)),
    )


def _scoring(frame: "pd.DataFrame", *, primary: PrimaryMetric) -> TaskScoring:
    return scorings_of(frame, task=primary.task, protocols=[primary.protocol])[0]


def _ranks(row: OverviewRow) -> list[float]:
    """Rank the means of a row from the best, 1; equal ones share the average of their ranks."""
    sign = -1 if row.metric.higher_is_better else 1
    ranks: list[float] = rankdata([sign * mean for mean in row.means]).tolist()
    return ranks

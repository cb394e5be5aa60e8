"""The masked losses of a suite's pre-trainings side by side, with what the best constants reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from multimae.tables.metrics import METRICS, Metric
from reports.read.results import CONSTANT
from reports.say import words
from reports.say.tables import Column, Table


@dataclass(frozen=True, kw_only=True)
class LossRow:
    """The masked losses of one pre-training, or of the constants beside it; empty where it does not predict that."""

    label: str
    checkpoint: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Losses:
    """All pre-trainings of a suite in one table, a row each."""

    datasets: tuple[str, ...]
    metrics: tuple[Metric, ...]
    rows: tuple[LossRow, ...]


def losses_of(tables: Sequence[Table]) -> Losses:
    """Put the tables of all pre-trainings into one; what constants reach is said once, below."""
    datasets = tuple(dict.fromkeys(table.dataset for table in tables))
    metrics = tuple(metric for metric in METRICS.values() if any(metric in table.metrics for table in tables))
    rows = [
        LossRow(
            label=words.checkpoint_label(checkpoint)
            if checkpoint == CONSTANT
            else f"{words.task_label(table.task)} on {column.inputs}{_of(table.dataset, among=datasets)}",
            checkpoint=checkpoint,
            numbers=tuple(_loss(table, metric=metric, checkpoint=checkpoint, column=column) for metric in metrics),
        )
        for table in tables
        for column in table.columns
        for checkpoint in dict.fromkeys(row.checkpoint for row in table.rows)
    ]
    # What constants reach depends on the data alone: said once, below what was trained.
    trained = [row for row in rows if row.checkpoint != CONSTANT]
    constants = dict.fromkeys(row for row in rows if row.checkpoint == CONSTANT)
    whole = [row for row in constants if not any(_says_less(row, than=other) for other in constants)]
    return Losses(datasets=datasets, metrics=metrics, rows=(*trained, *whole))


def _loss(table: Table, *, metric: Metric, checkpoint: str, column: Column) -> str:
    for row in table.rows:
        if (row.metric, row.checkpoint) == (metric, checkpoint):
            cell = row.cells[table.columns.index(column)]
            return cell.number(metric) or cell.note
    return ""


def _of(dataset: str, *, among: Sequence[str]) -> str:
    return f" of {words.dataset_label(dataset)}" if len(among) > 1 else ""


def _says_less(row: LossRow, *, than: LossRow) -> bool:
    pairs = list(zip(row.numbers, than.numbers, strict=True))
    return row != than and all(ours in ("", theirs) for ours, theirs in pairs)

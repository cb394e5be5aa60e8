"""Make a suite's report: one self-contained page, the tables in three formats, and every number as one tidy frame."""

import argparse
import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from multimae.door import enter, explained
from multimae.record.files import write_atomically, write_text
from multimae.record.paths import SuiteDir
from multimae.record.state import SILENT_AFTER_S
from multimae.record.text import tell
from reports.read.freshness import is_fresh, look, remember
from reports.read.results import SuiteResults, read_suite, to_frame

if TYPE_CHECKING:
    import pandas as pd

    from reports.pages.page import TaskSection
    from reports.say.answers import Answer, PrimaryMetric

__all__ = ["Report", "is_fresh", "main", "make_report"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where the parts of a report lie."""

    html: Path
    markdown: Path
    latex: Path
    csv: Path
    parquet: Path


def make_report(runs_dir: Path, suite: str) -> Report:
    """Read what the runs of `suite` have left so far and write runs/<suite>/report/; works at any time of a sweep."""
    from reports.pages import render
    from reports.pages.overview import build_overview
    from reports.pages.page import render_page
    from reports.pages.reconstruction import write_pages
    from reports.say import words
    from reports.say.comparison import compare

    now = time.time()
    inputs = look(runs_dir, suite=suite)
    results = read_suite(runs_dir, suite=suite, now=now)
    frame = to_frame(results)
    primaries = _primaries(results)
    pretrainings = results.pretraining_tasks
    sections = [_section(frame, primary=primary, pretraining=primary.task in pretrainings) for primary in primaries]
    tables = [table for section in sections for table in (section.main, section.details) if table]
    transfers = [one for one in primaries if one.task not in pretrainings]
    overview = build_overview(frame, primaries=transfers)
    comparisons = compare(results, frame)
    title = f"{suite} on {words.datasets_label(results.datasets)}"

    report = _report_in(SuiteDir(runs_dir / suite).report)
    report.html.parent.mkdir(exist_ok=True)
    reconstructions = write_pages(results, report_dir=report.html.parent)
    page = render_page(
        results,
        answers=_answers(frame, primaries=transfers),
        overview=overview,
        sections=sections,
        comparisons=comparisons,
        reconstructions=reconstructions,
        now=now,
    )
    write_text(report.html, page)
    write_text(report.markdown, render.markdown(tables, title=title, overview=overview, comparisons=comparisons))
    write_text(report.latex, render.latex(tables, title=title, overview=overview))
    write_text(report.csv, render.csv_text(tables))
    write_atomically(report.parquet, lambda file: file.write(_parquet(frame)))
    names = [path.name for path in (report.html, report.markdown, report.latex, report.csv, report.parquet)]
    names += reconstructions.values()
    remember(report.html.parent, inputs=inputs, outputs=names, expires=_expiry(results, now=now))
    return report


@explained("report")
def main(argv: Sequence[str] | None = None) -> int:
    """Make one report from the command line; 2 when there is no such suite."""
    parser = argparse.ArgumentParser(prog="report", description="Make the report of a suite from its run directories.")
    parser.add_argument("--suite", required=True, help="name of the folder under the runs folder")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="the runs folder (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        report = make_report(arguments.runs_dir, arguments.suite)
    except FileNotFoundError as error:
        tell(error, stream="err")
        return 2
    tell(report.html)
    return 0


def _report_in(folder: Path) -> Report:
    return Report(
        html=folder / "index.html",
        markdown=folder / "table.md",
        latex=folder / "table.tex",
        csv=folder / "table.csv",
        parquet=folder / "results.parquet",
    )


def _primaries(results: SuiteResults) -> "list[PrimaryMetric]":
    """Return the primary number of each task, in the plan's order, the pre-training last."""
    from reports.say.answers import PrimaryMetric

    found = {
        run.task: PrimaryMetric(
            task=run.task, metric=run.described.primary.metric, protocol=run.described.primary.protocol
        )
        for run in results.runs
        if run.described.primary.metric
    }
    return sorted(found.values(), key=lambda primary: primary.task in results.pretraining_tasks)


def _section(frame: "pd.DataFrame", *, primary: "PrimaryMetric", pretraining: bool) -> "TaskSection":
    from reports.pages.page import TaskSection
    from reports.say.tables import build_table, metrics_of, protocols_of

    protocols = protocols_of(frame, task=primary.task, otherwise=primary.protocol)
    table = partial(build_table, frame, task=primary.task, protocols=protocols)
    others = [name for name in metrics_of(frame, task=primary.task) if name != primary.metric]
    if pretraining:
        # One run with one loss per modality: none of them is worth hiding.
        return TaskSection(task=primary.task, main=table(metrics=[primary.metric, *others]), details=None)
    return TaskSection(
        task=primary.task,
        main=table(metrics=[primary.metric]),
        details=table(metrics=others) if others else None,
    )


def _answers(frame: "pd.DataFrame", *, primaries: "Sequence[PrimaryMetric]") -> "list[Answer]":
    """Answer every question for every task, corrected within each question."""
    from reports.say.answers import answer, corrected

    found = [one for primary in primaries for one in answer(frame, primary=primary)]
    questions = dict.fromkeys(one.question for one in found)
    return [one for question in questions for one in corrected([one for one in found if one.question == question])]


def _parquet(frame: "pd.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _expiry(results: SuiteResults, *, now: float) -> float | None:
    """Say when the first running job would count as silent, were nothing more heard of it."""
    running = [run.history.last_time or now for run in results.runs if run.state.status == "running"]
    return min(running) + SILENT_AFTER_S if running else None


if __name__ == "__main__":
    sys.exit(enter(main, name="report"))

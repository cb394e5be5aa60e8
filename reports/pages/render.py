"""Tables of cells, written three ways: Markdown, LaTeX (booktabs) and CSV with every raw value."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from multimae.record.text import one_line
from multimae.tables.metrics import Metric
from reports.pages.overview import Overview, OverviewRow
from reports.read.results import join_inputs
from reports.say import words
from reports.say.comparison import Comparison, sources
from reports.say.tables import Cell, Column, Row, Table, footnotes

CSV_COLUMNS = (
    "task", "dataset", "checkpoint", "inputs", "protocol", "metric", "unit", "higher_is_better", "mean", "low", "high",
    "n", "planned", "diverged", "mark", "missing", "values",
)  # fmt: skip

_LATEX: Mapping[str, str] = MappingProxyType(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "±": r"$\pm$",
        "δ": r"$\delta$",
        "α": r"$\alpha$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "−": r"$-$",
        "×": r"$\times$",
        "→": r"$\rightarrow$",
        "—": "---",
        "–": "--",
        "|": r"$|$",
        "<": r"$<$",
        ">": r"$>$",
        # Behind the end of a row, these would be its options.
        "[": "{[}",
        "*": "{*}",
    }
)

_MARKDOWN = re.compile(r"[\\`*|$~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)")
"""What has a meaning in Markdown; an underscore inside of a word has none, nor a bracket without a link."""


def markdown(
    tables: Sequence[Table], *, title: str, overview: Overview | None = None, comparisons: Sequence[Comparison] = ()
) -> str:
    """Write all tables as one Markdown page, the published numbers of a task behind its last table."""
    lines = [f"# {_bare(title)}", *(_markdown_overview(overview) if overview else ())]
    for place, table in enumerate(tables):
        lines += _markdown_table(table)
        if table.task not in [later.task for later in tables[place + 1 :]]:
            lines += _markdown_comparisons([found for found in comparisons if found.published.task == table.task])
    return "\n".join([*lines, ""])


def latex(tables: Sequence[Table], *, title: str, overview: Overview | None = None) -> str:
    r"""Write all tables as `table` environments; the preamble needs \usepackage{booktabs}."""
    lines = [
        f"% {one_line(title)}",
        r"% needs \usepackage{booktabs}",
        *(_latex_overview(overview) if overview else ()),
    ]
    return "\n".join([*lines, *(line for table in tables for line in _latex_table(table)), ""])


def csv_text(tables: Sequence[Table]) -> str:
    """Write one line per cell, unrounded; `values` lists seed:value pairs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                writer.writerow(_csv_row(table, row=row, column=column, cell=cell))
    return buffer.getvalue()


def escape_latex(text: str) -> str:
    """Write `text` so that LaTeX prints it as it is, on one line: an empty one would end a cell."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def row_label(row: Row, *, table: Table) -> str:
    """Name a row; the metric only where the table has several."""
    checkpoint = words.checkpoint_label(row.checkpoint)
    return checkpoint if len(table.metrics) == 1 else f"{words.metric_label(row.metric)}, {checkpoint}"


def caption(table: Table) -> str:
    """Name task, data set, the metric where there is only one, and how images were shown where not once and whole."""
    label = words.task_on(table.task, dataset=table.dataset)
    if len(table.metrics) == 1:
        label = f"{label}: {words.metric_label(table.metrics[0])}"
    return "; ".join([label, *(scoring.ways for scoring in table.scorings if scoring.ways)])


def overview_head(row: OverviewRow) -> str:
    """Name a row of the overview by what is predicted from what."""
    return f"{words.task_on(row.task, dataset=row.dataset)}, from {row.inputs}"


def _markdown_table(table: Table) -> Iterator[str]:
    yield from ("", f"## {_bare(caption(table))}", "")
    heads = [f"{column.inputs} ({column.protocol}{table.remark(column.protocol)})" for column in table.columns]
    yield "| | " + " | ".join(_bare(head) for head in heads) + " |"
    yield "|:--|" + "--:|" * len(heads)
    for row in table.rows:
        cells = " | ".join(_markdown_cell(cell, metric=row.metric) for cell in row.cells)
        yield f"| {_bare(row_label(row, table=table))} | {cells} |"
    yield ""
    yield from (f"- {_bare(note)}" for note in footnotes(table))


def _markdown_overview(overview: Overview) -> Iterator[str]:
    yield from ("", f"## {_bare(overview.caption)}", "")
    heads = ["", "metric", *map(words.checkpoint_label, overview.checkpoints)]
    yield "| " + " | ".join(_bare(head) for head in heads) + " |"
    yield "|:--|:--|" + "--:|" * len(overview.checkpoints)
    for row in overview.rows:
        cells = [_markdown_cell(cell, metric=row.metric) for cell in row.cells]
        yield "| " + " | ".join([_bare(overview_head(row)), _bare(overview.metric_label(row)), *cells]) + " |"
    if overview.mean_ranks:
        yield "| mean rank ↓ | | " + " | ".join(f"{rank:.2f}" for rank in overview.mean_ranks) + " |"
    yield ""
    yield from (f"- {_bare(note)}" for note in overview.notes)


def _markdown_comparisons(comparisons: Sequence[Comparison]) -> Iterator[str]:
    if not comparisons:
        return
    yield from ("", "### Published", "", "| method | inputs | metric, protocol | published | ours | difference |")
    yield "|:--|:--|:--|--:|--:|:--|"
    for found in comparisons:
        published, metric = found.published, found.metric
        cells = [
            published.method,
            join_inputs(published.inputs),
            f"{words.metric_label(metric)}, {published.protocol}",
            words.number(published.value, metric=metric),
            found.ours,
            found.sentence,
        ]
        yield "| " + " | ".join(map(_bare, cells)) + " |"
    yield ""
    yield from (f"- {_bare(note)}" for note in sources(comparisons))


def _markdown_cell(cell: Cell, *, metric: Metric) -> str:
    if not (text := cell.number(metric)):
        return _bare(cell.note)
    text = text if cell.mark == "none" else f"**{text}**"
    return f"{text} ({_bare(cell.note)})" if cell.note else text


def _latex_table(table: Table) -> Iterator[str]:
    yield from ("", r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(caption(table))}}}")
    yield from (rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule")
    heads = [(width, escape_latex(name + table.remark(name))) for name, width in table.spans]
    yield " & ".join(["", *(rf"\multicolumn{{{width}}}{{c}}{{{head}}}" for width, head in heads)]) + r" \\"
    yield from _cmidrules([width for _, width in table.spans])
    yield " & ".join(["", *(escape_latex(column.inputs) for column in table.columns)]) + r" \\"
    yield r"\midrule"
    for row in table.rows:
        cells = [_latex_cell(cell, metric=row.metric) for cell in row.cells]
        yield " & ".join([escape_latex(row_label(row, table=table)), *cells]) + r" \\"
    yield from (r"\bottomrule", r"\end{tabular}")
    yield from (rf"\par\smallskip{{\footnotesize {escape_latex(note)}.}}" for note in footnotes(table))
    yield r"\end{table}"


def _latex_overview(overview: Overview) -> Iterator[str]:
    yield from ("", r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(overview.caption)}}}")
    yield from (rf"\begin{{tabular}}{{ll{'r' * len(overview.checkpoints)}}}", r"\toprule")
    heads = ["", "", *map(words.checkpoint_label, overview.checkpoints)]
    yield " & ".join(map(escape_latex, heads)) + r" \\"
    yield r"\midrule"
    for row in overview.rows:
        cells = [_latex_cell(cell, metric=row.metric) for cell in row.cells]
        yield " & ".join([escape_latex(overview_head(row)), escape_latex(overview.metric_label(row)), *cells]) + r" \\"
    if overview.mean_ranks:
        ranks = [f"{rank:.2f}" for rank in overview.mean_ranks]
        yield " & ".join([r"mean rank $\downarrow$", "", *ranks]) + r" \\"
    yield from (r"\bottomrule", r"\end{tabular}")
    yield from (rf"\par\smallskip{{\footnotesize {escape_latex(note)}.}}" for note in overview.notes)
    yield r"\end{table}"


def _cmidrules(widths: Sequence[int]) -> Iterator[str]:
    first = 2
    for width in widths:
        yield rf"\cmidrule(lr){{{first}-{first + width - 1}}}"
        first += width


def _latex_cell(cell: Cell, *, metric: Metric) -> str:
    note = rf"{{\scriptsize ({escape_latex(cell.note)})}}" if cell.note else ""
    if not (text := escape_latex(cell.number(metric))):
        return note
    text = text if cell.mark == "none" else rf"{{\bfseries\boldmath {text}}}"
    return f"{text} {note}".strip()


def _csv_row(table: Table, *, row: Row, column: Column, cell: Cell) -> list[object]:
    summary = cell.summary
    several = not cell.baseline
    return [
        table.task,
        table.dataset,
        row.checkpoint,
        column.inputs,
        column.protocol,
        row.metric.name,
        row.metric.unit,
        row.metric.higher_is_better,
        _raw(summary.mean),
        _raw(summary.low) if several else "",
        _raw(summary.high) if several else "",
        summary.n if several else "",
        cell.planned if several else "",
        summary.num_diverged if several else "",
        cell.mark,
        cell.note if not summary.n else ", ".join(f"{times} {reason}" for reason, times in cell.missing.items()),
        " ".join(f"{seed}:{value!r}" for seed, value in sorted(cell.values.items())),
    ]


def _raw(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _bare(text: str) -> str:
    """Write `text` so that Markdown shows it as it is, also in a cell."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\g<0>", plain)

"""Put together what the HTML page shows, and fill the template; the page needs no other file and no network."""

import math
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from multimae.record.attempt import attempts_of
from multimae.record.events import Curve
from multimae.record.state import RunState, Status
from reports.draw.figures import MAX_POINTS, Line, Panel, draw, interval
from reports.draw.pictures import FEW_SAMPLES, MAX_SAMPLES, Gallery, pretraining_gallery, transfer_gallery
from reports.pages.overview import MIN_TRANSFERS, Overview
from reports.pages.render import caption, row_label
from reports.pages.templates import environment
from reports.read.results import ReportedRun, SuiteResults, inputs_order, join_inputs, metric_of
from reports.say import comparison, words
from reports.say.advice import advice
from reports.say.answers import Answer, Question, lead
from reports.say.comparison import Comparison
from reports.say.losses import losses_of
from reports.say.tables import Table, footnotes

QUESTIONS: Mapping[Question, str] = {
    "pretraining": "Does pre-training help?",
    "variant": "Is another pre-training better than the suite's own?",
    "depth": "Does depth help as an extra input?",
    "baseline": "Is anything learned at all?",
}
MAX_OPEN_ROWS = 20
_STATUS_ORDER: tuple[Status, ...] = (
    "failed", "diverged", "vanished", "preempted", "paused", "blocked", "running", "queued", "new", "finished",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TaskSection:
    """One task's tables. `main` has the primary metric, `details` all others, None where there are none."""

    task: str
    main: Table
    details: Table | None


@dataclass(frozen=True, kw_only=True)
class PublishedNumbers:
    """What is published for one task, beside ours; `lead` sums it up."""

    comparisons: tuple[Comparison, ...]
    lead: str

    @property
    def folded(self) -> bool:
        """Whether there is nothing to compare, so that the rows are of interest to few."""
        return all(found.standing in ("differs", "absent") for found in self.comparisons)

    @property
    def sources(self) -> tuple[str, ...]:
        return comparison.sources(self.comparisons)


@dataclass(frozen=True, kw_only=True)
class Plotted:
    """An answer with its interval plot, in which right is always better."""

    answer: Answer
    plot: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """One question with its answers."""

    heading: str
    lead: str
    rows: tuple[Plotted, ...]
    folded: bool


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Runs that share a status, message included: twelve runs with one broken file are one thing to repair."""

    state: RunState
    advice: str
    runs: tuple[ReportedRun, ...]


def render_page(
    results: SuiteResults,
    *,
    answers: Sequence[Answer],
    overview: Overview | None,
    sections: Sequence[TaskSection],
    comparisons: Sequence[Comparison],
    reconstructions: Mapping[str, str],
    now: float,
) -> str:
    """Return the whole page as HTML text; `reconstructions` are pages beside it, by the pre-training's key."""
    templates = environment()
    templates.globals |= {
        "caption": caption,
        "row_label": row_label,
        "footnotes": footnotes,
        "join_inputs": join_inputs,
    }
    transfer = [section for section in sections if section.task not in results.pretraining_tasks]
    runs = sorted(results.runs, key=lambda run: _STATUS_ORDER.index(run.state.status))
    return templates.get_template("page.html.j2").render(
        results=results,
        title=f"{results.suite}: results on {words.datasets_label(results.datasets)}",
        caveats=_caveats(results),
        date=time.strftime("%d %B %Y, %H:%M", time.localtime(now)),
        command=_command(results.sweep.command),
        states=_states(results.runs),
        seconds=sum(run.seconds for run in results.runs),
        blocks=tuple(_blocks(answers)),
        overview=overview,
        sections=transfer,
        published=_published(comparisons),
        published_lead=comparison.lead(comparisons) if comparisons else "",
        losses=losses_of([section.main for section in sections if section not in transfer]),
        curves={section.task: _curves(results.runs, task=section.task) for section in transfer},
        pretraining_curves={run.key: _pretraining_curves(run) for run in results.runs if run.pretraining},
        galleries={section.task: gallery for section in transfer if (gallery := _gallery(results, section.task))},
        pretraining_galleries={run.key: pretraining_gallery(run) for run in results.runs if run.pretraining},
        reconstructions=reconstructions,
        runs=runs,
        failures=tuple(_failures(runs)),
        run_href=_run_href,
        log_href=_log_href,
        max_points=MAX_POINTS,
        primary_of=_primary_value,
        remarks=_remarks,
        versions=_versions(results.runs),
    )


def _caveats(results: SuiteResults) -> dict[str, str]:
    said = {
        name: words.dataset_caveat(name, folder=facts.get("folder", "")) for name, facts in results.datasets.items()
    }
    return {name: caveat for name, caveat in said.items() if caveat}


def _published(comparisons: Sequence[Comparison]) -> dict[str, PublishedNumbers]:
    """Sort what is published by task."""
    found: dict[str, list[Comparison]] = {}
    for one in comparisons:
        found.setdefault(one.published.task, []).append(one)
    return {
        task: PublishedNumbers(comparisons=tuple(of_task), lead=comparison.lead(of_task))
        for task, of_task in found.items()
    }


def _command(command: Sequence[str]) -> str:
    # The driver records its arguments alone: it may have been started under either of its two names.
    program = ["python", "experiments/sweep.py"] if command[:1] and command[0].startswith("-") else []
    return shlex.join([*program, *command])


def _states(runs: Sequence[ReportedRun]) -> dict[Status, int]:
    counts = Counter(run.state.status for run in runs)
    return {status: counts[status] for status in reversed(_STATUS_ORDER) if counts[status]}


def _failures(runs: Sequence[ReportedRun]) -> Iterator[Failure]:
    alike: dict[tuple[str, str], list[ReportedRun]] = {}
    for run in runs:
        if advice(run.state):
            alike.setdefault((run.state.text, run.state.message), []).append(run)
    for some in alike.values():
        yield Failure(state=some[0].state, advice=advice(some[0].state), runs=tuple(some))


def _blocks(answers: Sequence[Answer]) -> Iterator[Block]:
    for question, heading in QUESTIONS.items():
        chosen = [found for found in answers if found.question == question]
        if chosen:
            rows = tuple(_plotted(found, among=chosen) for found in chosen)
            folded = question == "baseline" or len(rows) > MAX_OPEN_ROWS
            yield Block(heading=heading, lead=lead(question, chosen), rows=rows, folded=folded)


def _plotted(found: Answer, *, among: Sequence[Answer]) -> Plotted:
    alike = [other.difference for other in among if other.metric == found.metric]
    widest = max(
        (abs(end) for other in alike for end in (other.low, other.high, other.mean) if end == end), default=1.0
    )
    largest = max((abs(other.mean) for other in alike if other.n), default=1.0)
    # An interval of two seeds can be ten times as wide as all effects: cut it off rather than hide them.
    reach = min(widest, 4 * largest) or 1.0
    difference, sign = found.difference, 1 if found.metric.higher_is_better else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return Plotted(answer=found, plot=interval(low, sign * difference.mean, high, reach=reach, verdict=found.verdict))


def _curves(runs: Sequence[ReportedRun], *, task: str) -> str:
    of_task = [run for run in runs if run.task == task]
    by_inputs: dict[str, list[ReportedRun]] = {}
    for run in sorted(of_task, key=lambda run: inputs_order(join_inputs(run.inputs))):
        by_inputs.setdefault(join_inputs(run.inputs), []).append(run)
    validated = metric_of(of_task[0].described.primary.metric)
    losses = [_panel(group, f"from {inputs}", "train/loss", "training loss") for inputs, group in by_inputs.items()]
    scores = [
        _panel(
            group,
            f"from {inputs}" if len(by_inputs) == 1 else "",
            f"val/{validated.name}",
            f"validation {words.metric_label(validated)}",
        )
        for inputs, group in by_inputs.items()
    ]
    labels = {run.checkpoint: words.checkpoint_label(run.checkpoint) for run in of_task}
    if len(by_inputs) == 1:
        return draw([[*losses, *scores]], labels=labels, shared_axis="none")
    return draw([losses, scores], labels=labels)


def _panel(runs: Sequence[ReportedRun], title: str, name: str, ylabel: str) -> Panel:
    lines = tuple(
        Line(
            group=run.checkpoint,
            name=f"{words.checkpoint_label(run.checkpoint)}, seed {run.seed}",
            curve=run.history.curves.get(name, Curve(steps=(), values=())),
            whole=run.state.status == "finished",
        )
        for run in sorted(runs, key=lambda run: (run.checkpoint, run.seed))
    )
    return Panel(title=title, ylabel=ylabel, lines=lines)


def _pretraining_curves(run: ReportedRun) -> str:
    names = [name.removeprefix("train/") for name in run.history.curves if name.startswith("train/loss")] or ["loss"]
    constant = {row.metric: row.value for row in (run.result.baselines if run.result else ())}
    panels = [
        Panel(
            title="sum of all losses" if name == "loss" else metric_of(name).label,
            ylabel="loss",
            lines=tuple(
                Line(group=split, name=words_of, curve=run.history.curves[f"{split}/{name}"])
                for split, words_of in (("train", "training"), ("val", "validation"))
                if f"{split}/{name}" in run.history.curves
            ),
            level=constant.get(name) or math.nan,
        )
        for name in names
    ]
    labels = {"train": "training", "val": "validation"}
    num_columns = math.ceil(len(panels) / math.ceil(len(panels) / 4))
    rows = [panels[start : start + num_columns] for start in range(0, len(panels), num_columns)]
    return draw(rows, labels=labels, shared_axis="none")


def _gallery(results: SuiteResults, task: str) -> Gallery | None:
    # A page with many tasks stays small enough to be sent.
    num_samples = MAX_SAMPLES if results.num_transfers < MIN_TRANSFERS else FEW_SAMPLES
    return transfer_gallery([run for run in results.runs if run.task == task], max_samples=num_samples)


def _run_href(run: ReportedRun) -> str:
    return f"../{quote(run.key)}/"


def _log_href(run: ReportedRun) -> str:
    """Link the log of the last attempt; empty where there is none."""
    for attempt in attempts_of(run.directory)[-1:]:
        for log in (attempt.files.err, attempt.files.out):
            if log.is_file():
                return _run_href(run) + log.relative_to(run.directory).as_posix()
    return ""


def _remarks(run: ReportedRun) -> list[str]:
    """List the facts about one run that nobody should overlook."""
    said = [run.state.message]
    if run.result:
        said += run.result.notes
        said += [f"kept by its user after a change of code: {', '.join(one.changes)}" for one in run.result.accepted]
        said += ["scored again by other code than before" for _ in run.result.earlier[-1:]]
        said += [f"scores of earlier code: {change}" for change in run.scored_otherwise]
    return [one for one in said if one]


def _primary_value(run: ReportedRun) -> str:
    primary = run.described.primary
    for row in run.result.rows if run.result else ():
        if (row.metric, row.protocol) == (primary.metric, primary.protocol):
            metric = metric_of(row.metric)
            return "diverged" if row.value is None else f"{words.number(row.value, metric=metric)} {metric.label}"
    return ""


def _versions(runs: Sequence[ReportedRun]) -> dict[str, str]:
    """List package versions; a package that changed between runs shows all of them."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for package, version in (run.result.environment if run.result else {}).items():
            found.setdefault(package, {})[str(version)] = None
    return {package: " and ".join(versions) for package, versions in sorted(found.items())}

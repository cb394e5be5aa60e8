"""The page of a search: what was tried, what won, whether it holds with fresh seeds, what it cost."""

import csv
import io
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multimae.record.files import write_text
from multimae.tables.metrics import METRICS
from reports.pages.templates import environment
from reports.read.search_trials import SearchRecord, TrialRecord, read_search, repeated_values
from reports.say import words
from reports.say.stats import paired_difference, summarise


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the repeats say, in a sentence; `rows` are winner and recipe with their mean and interval."""

    sentence: str
    rows: tuple[tuple[str, str], ...]


def make_search_report(runs_dir: Path, name: str) -> Path:
    """Write runs/<name>/report/{index.html,trials.csv} from what there is now; return the page."""
    from reports.draw.search_figures import pictures

    search = read_search(runs_dir, name)
    folder = runs_dir / name / "report"
    folder.mkdir(exist_ok=True)
    page = (
        environment()
        .get_template("search.html.j2")
        .render(
            search=search.described,
            dataset=words.dataset_label(search.described["dataset"]),
            caveat=words.dataset_caveat(search.described["dataset"]),
            best=search.best(),
            recipe=next((one for one in search.trials if one.recipe), None),
            verdict=verdict(runs_dir, search),
            counts=counts(search),
            hours=sum(one.hours for one in search.trials),
            whole_hours=_hours_without_stopping(search),
            repeat_hours=search.repeat_hours,
            trials=search.trials,
            rungs=sorted({step for one in search.trials for step in one.scores}),
            pictures=pictures(search),
            number=number,
            made=time.strftime("%Y-%m-%d %H:%M"),
        )
    )
    write_text(folder / "index.html", page)
    write_text(folder / "trials.csv", trials_csv(search))
    return folder / "index.html"


def verdict(runs_dir: Path, search: SearchRecord) -> Verdict | None:
    """Compare winner and recipe on the test split with the same fresh seeds; None where nothing was repeated."""
    winner, recipe = (repeated_values(runs_dir, search, label=label) for label in ("winner", "recipe"))
    if not winner or not recipe:
        return None
    metric = METRICS[search.described["primary"]["metric"]]
    rows = tuple((label, _mean(values, metric.name)) for label, values in (("winner", winner), ("recipe", recipe)))
    if search.described["repeats"]["winner"] == search.described["repeats"]["recipe"]:
        return Verdict(sentence="The recipe's own values won: no trial was better on held-out images.", rows=rows[1:])
    found = paired_difference(winner, minus=recipe)
    label = words.metric_label(metric)
    if found.n < 2:
        return Verdict(sentence=f"One fresh seed cannot tell whether the search helped ({label}).", rows=rows)
    span = f"{words.signed(found.mean, metric=metric)} [{words.signed(found.low, metric=metric)}, "
    span += f"{words.signed(found.high, metric=metric)}] {label}, p = {found.p_value:.2g}, {found.n} fresh seeds"
    if math.isnan(found.p_value) or found.p_value >= 0.05:
        return Verdict(sentence=f"No difference can be told between winner and recipe: {span}.", rows=rows)
    helped = (found.mean > 0) == metric.higher_is_better
    return Verdict(sentence=f"The search {'helped' if helped else 'did harm'}: {span}.", rows=rows)


def counts(search: SearchRecord) -> dict[str, int]:
    """Count how trials ended; trials of the same values were trained once."""
    runs = [one.run for one in search.trials if one.run]
    return {
        "trained to the end": sum(one.state == "complete" and not one.diverged for one in search.trials),
        "stopped early": sum(one.state == "pruned" for one in search.trials),
        "diverged": sum(one.diverged for one in search.trials),
        "failed": sum(one.state == "fail" for one in search.trials),
        "running": sum(one.state == "running" for one in search.trials),
        "told without training": len(runs) - len(set(runs)),
    }


def trials_csv(search: SearchRecord) -> str:
    """Write a row a trial: what it chose, its scores at every rung, its values, hours and run."""
    fields = list(search.described["space"])
    rungs = sorted({step for one in search.trials for step in one.scores})
    objective = search.described["objective"]
    header = ["trial", "state", *fields, *(f"step_{rung}" for rung in rungs), *objective, "hours", "run"]
    rows = [
        [
            str(one.number),
            one.state,
            *(str(one.chosen.get(name, "")) for name in fields),
            *(str(one.scores.get(rung, "")) for rung in rungs),
            *(map(str, one.values) if one.values else [""] * len(objective)),
            f"{one.hours:.4f}",
            one.run,
        ]
        for one in search.trials
    ]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


def number(value: object) -> str:
    """Write a chosen value or a score as a person reads it."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "diverged"
    return str(value)


def _hours_without_stopping(search: SearchRecord) -> float:
    """Estimate what the trials would have cost if all had been trained to the end."""
    whole = [one.hours for one in search.trials if one.state == "complete" and not one.diverged]
    distinct: Mapping[str, TrialRecord] = {one.run: one for one in search.trials if one.run}
    return len(distinct) * sum(whole) / len(whole) if whole else math.nan


def _mean(values: Mapping[int, float], metric: str) -> str:
    summary = summarise(list(values.values()))
    mean = words.number(summary.mean, metric=METRICS[metric])
    if summary.n < 2:
        return mean
    return f"{mean} ± {words.number(summary.half_width, metric=METRICS[metric])}"

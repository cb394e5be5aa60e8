"""Pictures of a search as inline SVG; one that cannot be drawn yet says why."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

from reports.draw.svg import svg_of
from reports.read.search_trials import SearchRecord, TrialRecord

BLUE, ORANGE, GREY = "#0b62a4", "#c8590c", "#9aa5ae"
MIN_FOR_IMPORTANCE = 4
_STYLE = Path(__file__).parents[1] / "html" / "curves.mplstyle"


def pictures(search: SearchRecord) -> dict[str, str]:
    """Return every picture by its title: an SVG element, or the reason why there is none."""
    # Optuna keeps no scores at rungs for several objectives, which are not pruned.
    several = len(search.described["objective"]) > 1
    drawn: Mapping[str, Callable[[SearchRecord], str]] = {
        "History": history,
        **({"Pareto front": pareto} if several else {"Scores at the rungs": rungs}),
        "Slices": slices,
        "Parallel coordinates": parallel_coordinates,
        "Importances": importances,
    }
    return {title: draw(search) for title, draw in drawn.items()}


def history(search: SearchRecord) -> str:
    """Every trial's first objective, and the best so far."""
    done = search.finished
    if not done:
        return "No trial has ended with a number yet."
    values = [one.values[0] for one in done]
    best = np.maximum.accumulate(values) if search.higher_is_better else np.minimum.accumulate(values)
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(7.5, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot([one.number for one in done], best, color=BLUE, drawstyle="steps-post", label="best so far")
        axes.scatter([one.number for one in done], values, color=GREY, s=16, zorder=3, label="trained to the end")
        for one in done:
            if one.recipe:
                axes.scatter([one.number], [one.values[0]], color=ORANGE, s=30, zorder=4, label="the recipe")
        axes.set_xlabel("trial")
        axes.set_ylabel(search.described["objective"][0])
        axes.legend()
        return _svg(figure)


def rungs(search: SearchRecord) -> str:
    """The scores of every trial at the rungs it reached."""
    curves = [one for one in search.trials if any(map(math.isfinite, one.scores.values()))]
    if not curves:
        return "No trial has reached its first rung yet."
    best = search.best()
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(7.5, 2.8), layout="constrained")
        axes = figure.subplots()
        for one in curves:
            won = best is not None and one.number == best.number
            colour, width = (BLUE, 2.0) if won else (ORANGE if one.recipe else GREY, 1.0)
            steps = [step for step, score in one.scores.items() if math.isfinite(score)]
            axes.plot(steps, [one.scores[step] for step in steps], color=colour, lw=width, marker="o", ms=3)
        axes.set_xlabel("step (blue: the winner, orange: the recipe)")
        axes.set_ylabel(search.described["objective"][0])
        return _svg(figure)


def slices(search: SearchRecord) -> str:
    """The last score of every trial over each field."""
    names = list(search.described["space"])
    scored = [one for one in search.trials if math.isfinite(one.last_score)]
    if not scored:
        return "No trial has been judged yet."
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(min(11.2, 2.8 * len(names)), 2.6), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names, strict=True):
            having = [one for one in scored if name in one.chosen]
            axes.scatter(
                [_plain(one.chosen[name]) for one in having],
                [one.last_score for one in having],
                c=[BLUE if one.state == "complete" else GREY for one in having],
                s=14,
            )
            if _logarithmic(search, name):
                axes.set_xscale("log")
            axes.set_xlabel(name)
        return _svg(figure)


def parallel_coordinates(search: SearchRecord) -> str:
    """A line for every trial through the values it chose, each axis from its lowest to its highest."""
    names = list(search.described["space"])
    scored = [one for one in search.trials if math.isfinite(one.last_score)]
    if len(scored) < 2:
        return "Fewer than two trials have been judged."
    axes_of = {name: _positions(search, name, scored) for name in names}
    order = sorted(scored, key=lambda one: one.last_score, reverse=not search.higher_is_better)
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(order):
            shade = mpl.colormaps["viridis_r"](place / max(1, len(order) - 1))
            heights = [axes_of[name].get(one.number, math.nan) for name in names]
            axes.plot(range(len(names)), heights, color=shade, lw=1.2, alpha=0.8)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks([0, 1], ["lowest", "highest"])
        axes.set_xlabel("dark: better")
        return _svg(figure)


def importances(search: SearchRecord) -> str:
    """How much of the spread of the first objective each field explains, by two methods.

    A pruner lets few trials come to their end, and those are alike: then the last rung that half of them reached tells.
    """
    judged, of_what = _judged_alike(search)
    num = len(judged.trials)
    if num < MIN_FOR_IMPORTANCE:
        return f"{num} trials are comparable by {of_what}; importances need {MIN_FOR_IMPORTANCE}."
    found = {
        "fANOVA": _importances(judged, FanovaImportanceEvaluator(seed=0)),
        "PED-ANOVA": _importances(judged, _ped_anova()),
    }
    if not any(found.values()):
        return f"The {num} trials do not differ enough in {of_what} to tell."
    names = list(search.described["space"])
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(7.5, 0.5 * len(names) + 1), layout="constrained")
        axes = figure.subplots()
        for offset, (method, colour) in enumerate(zip(found, (BLUE, ORANGE), strict=True)):
            heights = [found[method].get(name, 0.0) for name in names]
            axes.barh(np.arange(len(names)) + 0.36 * offset, heights, height=0.34, color=colour, label=method)
        axes.set_yticks(np.arange(len(names)) + 0.18, names)
        axes.set_xlabel(f"share of the spread of {of_what} explained, {num} trials")
        axes.legend()
        return _svg(figure)


def pareto(search: SearchRecord) -> str:
    """The first two objectives of every finished trial, those that no other beats in both marked."""
    if not search.finished:
        return "No trial has ended with numbers yet."
    front = sorted(search.front(), key=lambda one: one.values[1])
    names = search.described["objective"]
    with mpl.rc_context(fname=_STYLE):
        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.subplots()
        axes.scatter(
            [one.values[1] for one in search.finished], [one.values[0] for one in search.finished], color=GREY, s=14
        )
        axes.plot([one.values[1] for one in front], [one.values[0] for one in front], color=BLUE, marker="o", ms=4)
        axes.set_xlabel(names[1])
        axes.set_ylabel(names[0])
        return _svg(figure)


def _judged_alike(search: SearchRecord) -> tuple[optuna.Study, str]:
    """Return the trials that half of all can be compared with: by their end or, failing that, by one rung's score."""
    scores: dict[int, dict[int, float]] = {}
    for one in search.trials:
        for step, score in one.scores.items():
            if math.isfinite(score):
                scores.setdefault(step, {})[one.number] = score
    ended, objective = {one.number: one.values[0] for one in search.finished}, search.described["objective"][0]
    if len(ended) * 2 >= len(search.trials) or not scores:
        return _study_of(search, ended), objective
    # Where no rung was reached by half of them, the first was by most.
    step = max((step for step, those in scores.items() if len(those) * 2 >= len(search.trials)), default=min(scores))
    return _study_of(search, scores[step]), f"{objective} at step {step}"


def _study_of(search: SearchRecord, values: Mapping[int, float]) -> optuna.Study:
    """Return a study in memory of the trials that `values` names."""
    study = optuna.create_study(direction=search.described["directions"][0])
    for trial in search.study.get_trials(deepcopy=False):
        if trial.number in values:
            value, params, distributions = values[trial.number], trial.params, trial.distributions
            study.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=distributions))
    return study


def _importances(study: optuna.Study, evaluator: Any) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(get_param_importances(study, evaluator=evaluator))
        except (RuntimeError, ValueError):
            return {}


def _ped_anova() -> PedAnovaImportanceEvaluator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PedAnovaImportanceEvaluator()


def _positions(search: SearchRecord, name: str, trials: Sequence[TrialRecord]) -> dict[int, float]:
    """Place a field's values on an axis from 0 to 1, words in the order of their alphabet."""
    raw = {one.number: one.chosen[name] for one in trials if name in one.chosen}
    if any(isinstance(value, str) for value in raw.values()):
        ranks = {value: rank for rank, value in enumerate(sorted({str(value) for value in raw.values()}))}
        numbers = {number: float(ranks[str(value)]) for number, value in raw.items()}
    else:
        scale = math.log if _logarithmic(search, name) else float
        numbers = {number: scale(value) for number, value in raw.items()}
    low, high = min(numbers.values(), default=0.0), max(numbers.values(), default=0.0)
    return {number: (value - low) / (high - low) if high > low else 0.5 for number, value in numbers.items()}


def _logarithmic(search: SearchRecord, name: str) -> bool:
    return "log=True" in search.described["space"][name]["distribution"]


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else str(value)


def _svg(figure: Figure) -> str:
    text = svg_of(figure)
    return text[text.index("<svg") :]

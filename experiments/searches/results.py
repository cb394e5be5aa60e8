"""`search best`, `search export`, `search report`: what a search has found, at any time of its life."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.folders import require_folder_name
from multimae.record.text import tell
from reports.read.search_trials import DamagedStudyError, SearchRecord, TrialRecord, as_json, read_search

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def show(argv: Sequence[str]) -> int:
    """Run one of the verbs and return its exit code."""
    parser = argparse.ArgumentParser(prog="search", description="Look at a search.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("best", "print the winner"),
        ("export", "write it as Python"),
        ("report", "make its page again"),
    ):
        command = verbs.add_parser(verb, help=text)
        command.add_argument("name", metavar="NAME", help="the search's folder under the runs folder")
        command.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
        if verb == "best":
            command.add_argument("--json", action="store_true", help="as JSON")
        if verb == "export":
            command.add_argument("--as", choices=("recipe",), default="recipe", dest="form", help="as a task's recipe")
    arguments = parser.parse_args(argv)
    try:
        search = read_search(arguments.runs_dir, require_folder_name("search", arguments.name))
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    except DamagedStudyError as error:
        raise PreconditionError(str(error)) from error
    if arguments.verb == "report":
        from reports.pages.search import make_search_report

        tell(make_search_report(arguments.runs_dir, arguments.name))
        return 0
    winners = search.front() if len(search.described["objective"]) > 1 else tuple(filter(None, [search.best()]))
    if not winners:
        raise UsageError(f"no trial of {arguments.name} has ended with a number yet")
    if arguments.verb == "export":
        tell(as_recipe(winners[0], search=search))
    else:
        for winner in winners:
            if arguments.json:
                print(as_json(winner, search=search))
            else:
                tell(_in_words(winner, search=search))
    return 0


def as_recipe(trial: TrialRecord, *, search: SearchRecord) -> str:
    """Return three lines of Python that give a suite the task with the winner's recipe."""
    task = search.described["task"]
    module, constant = _where(task)
    # A base_lr of the task's recipes would win over the learning rate that was found.
    absolute = {"base_lr": 0.0} if "lr" in trial.chosen else {}
    chosen = ", ".join(f"{name}={value!r}" for name, value in {**absolute, **trial.chosen}.items())
    name, dataset = search.described["name"], search.described["dataset"]
    return (
        f"# Trial {trial.number} of {name}: chosen on held-out images of {dataset}.\n"
        f"from benchmarks.{module} import {constant}\n"
        f'BEST = {constant}.variant("{task}-best", {chosen})'
    )


def _where(task: str) -> tuple[str, str]:
    """Find the constant of a task in the modules of `benchmarks/` by the name it is given there."""
    for path in sorted(BENCHMARKS.glob("*.py")):
        found = re.search(
            rf'^(\w+) = (?:Task|replace)\((?:\n    \w+,)?\s*name="{re.escape(task)}"', path.read_text("utf-8"), re.M
        )
        if found:
            return path.stem, found[1]
    raise UsageError(
        f"no module of benchmarks/ gives the name {task!r} to a constant: write TASK.variant(...) where yours is, with "
        "the values of `search best`"
    )


def _in_words(trial: TrialRecord, *, search: SearchRecord) -> str:
    values = ", ".join(
        f"{name} {value:.5g}" for name, value in zip(search.described["objective"], trial.values, strict=True)
    )
    chosen = " ".join(f"--set {search.described['task']}.{name}={value}" for name, value in trial.chosen.items())
    return f"trial {trial.number}: {values}\n  {chosen}\n  {trial.run}"

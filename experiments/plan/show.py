"""A plan as a person reads it, and as JSON."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.plan.planning import PlannedRun, datasets_of
from experiments.plan.render import learning_rate, num_steps, places_of
from experiments.plan.rundirs import standing_of_scores
from experiments.plan.why import OLD_SCORES, SCORED_AGAIN, Cause
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.state import ACTIVE, run_state

NUMBERS = ("seed", "steps", "batch", "lr")
PIPE_WIDTH = 140


def print_plan(plan: Sequence[PlannedRun], *, standings: Mapping[str, str], kept: int) -> None:
    """Print the runs a sweep consists of, what each would do now, and how many bytes all of them keep."""
    names = ", ".join(datasets_of(plan))
    table = Table(title=f"{plan[0].run.suite} on {names}: {len(plan)} runs of size {plan[0].run.size}")
    for column in ("task", "init", "inputs", "seed", "digest", "steps", "batch", "lr", "now"):
        # Names fold where a terminal is narrow: cut off, two of them may look alike.
        table.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    for planned in plan:
        run = planned.run
        table.add_row(
            run.task.name,
            run.checkpoint,
            "+".join(run.inputs),
            str(run.seed),
            planned.key[-8:],
            str(num_steps(run, data=planned.data)),
            str(run.recipe.batch_size),
            f"{learning_rate(run.recipe):g}",
            standings[planned.key],
        )
    console = _console()
    console.print(table)
    for line in places_read(plan):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(f"checkpoints: about {size_text(kept)} on the disk when all have finished", highlight=False)


def places_read(plan: Sequence[PlannedRun]) -> list[str]:
    """Say in a line each where the data sets and the weights lie that runs read."""
    data = [f"{name} in {found.root}" for name, found in datasets_of(plan).items()]
    files = {planned.run.weights.name: planned.run.weights.path for planned in plan if planned.run.weights}
    return [f"reads {place}" for place in (*data, *(f"the weights {name} in {path}" for name, path in files.items()))]


def print_causes(found: Sequence[Cause]) -> None:
    """Say once per cause which runs are trained or scored again."""
    console = _console()
    for cause in found:
        console.print(cause.text, highlight=False, soft_wrap=True, markup=False)


def size_text(num_bytes: int) -> str:
    """Write a number of bytes as people do: 310 MB, 1.2 GB."""
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:.0f} MB"
    return f"{num_bytes / 1e9:.1f} GB"


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def plan_as_json(
    plan: Sequence[PlannedRun], *, standings: Mapping[str, str], reasons: Mapping[str, tuple[str, list[str]]]
) -> list[dict[str, Any]]:
    """Return the plan as JSON values, one object a run."""
    return [
        {
            "key": planned.key,
            "kind": planned.run.task.kind,
            "task": planned.run.task.name,
            "checkpoint": planned.run.checkpoint,
            "inputs": list(planned.run.inputs),
            "seed": planned.run.seed,
            "size": planned.run.size,
            "depends_on": list(planned.depends_on),
            "places": asdict(places_of(planned)),
            "now": standings[planned.key],
            "digest": planned.parts,
            "scoring": planned.scoring,
            **({"why": reasons[planned.key][1]} if planned.key in reasons else {}),
        }
        for planned in plan
    ]


def standings_of(plan: Sequence[PlannedRun], *, suite_dir: Path) -> dict[str, str]:
    """Say from the run directories alone where each run is, or how a sweep would start it."""
    return {planned.key: _standing(planned, suite_dir=suite_dir) for planned in plan}


def _standing(planned: PlannedRun, *, suite_dir: Path) -> str:
    folder = suite_dir / planned.key
    state = run_state(folder, now=time.time())
    if state.status == "finished":
        scores = standing_of_scores(planned, suite_dir=suite_dir)
        return {"outdated": SCORED_AGAIN, "lost": OLD_SCORES}.get(scores, state.status)
    if state.status in (*ACTIVE, "new", "diverged"):
        return state.status
    return "resume" if CheckpointDir(RunDir(folder).checkpoints).last.exists() else "start again"

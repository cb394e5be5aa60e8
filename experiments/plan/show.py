"""A plan as a person reads it, and as JSON."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.plan.planning import PlannedRun, datasets_of
from experiments.plan.render import learning_rate, num_steps
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.state import ACTIVE, run_state

NUMBERS = ("seed", "steps", "batch", "lr")
PIPE_WIDTH = 140


def print_plan(plan: Sequence[PlannedRun], *, suite_dir: Path, reasons: Mapping[str, Sequence[str]]) -> None:
    """Print the runs a sweep consists of and what each would do now."""
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
            standing(planned, suite_dir=suite_dir),
        )
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)
    for key, changes in reasons.items():
        for change in changes if not (suite_dir / key).exists() else ():
            console.print(f"{key} is new: {change}", highlight=False, soft_wrap=True)


def plan_as_json(
    plan: Sequence[PlannedRun], *, suite_dir: Path, reasons: Mapping[str, Sequence[str]]
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
            "now": standing(planned, suite_dir=suite_dir),
            "digest": planned.parts,
            **({"why": list(reasons[planned.key])} if planned.key in reasons else {}),
        }
        for planned in plan
    ]


def standing(planned: PlannedRun, *, suite_dir: Path) -> str:
    """Say from the run directory alone where a run is, or how a sweep would start it."""
    folder = suite_dir / planned.key
    state = run_state(folder, now=time.time())
    if state.status in (*ACTIVE, "finished", "new", "diverged"):
        return state.status
    return "resume" if CheckpointDir(RunDir(folder).checkpoints).last.exists() else "start again"

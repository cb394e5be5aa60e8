"""What a person sees of a sweep: the plan as a table, the live table while it runs, the end in one line."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from experiments.plan.planning import PlannedRun, datasets_of
from experiments.plan.render import learning_rate, num_steps
from slurm.jobs import RunState

STYLES = {"finished": "green", "running": "cyan", "failed": "red", "blocked": "red", "vanished": "yellow"}
MAX_ROWS = 30
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
    """Say from the run directory alone what a sweep would do with a run: nothing, resume it, or start it."""
    folder = suite_dir / planned.key
    if (folder / "result.json").exists():
        return "finished"
    if any(folder.glob("checkpoints/*.pth")):
        return "resume"
    return "start again" if any(folder.glob("attempts/*")) else "new"


def live_table(states: Mapping[str, RunState], *, title: str) -> Group:
    """Draw the runs that move and the failures in full, and count the rest."""
    table = Table(title=title, expand=False)
    for column in ("run", "status", "step", "loss", "images/s", "ETA"):
        table.add_column(column, justify="left" if column in ("run", "status") else "right", no_wrap=True)
    shown = sorted(states.items(), key=lambda item: _rank(item[1].status))[:MAX_ROWS]
    for key, state in shown:
        progress = state.progress
        known = progress is not None and state.status == "running"
        table.add_row(
            key,
            Text(state.status + (f": {state.kind}" if state.kind else ""), style=STYLES.get(state.status, "")),
            f"{progress.step}/{progress.max_steps}" if known and progress else "",
            _number(progress.loss, ".3f") if known and progress else "",
            _number(progress.images_per_s, ".0f") if known and progress else "",
            duration(progress.eta_s) if known and progress else "",
        )
    return Group(table, Text(f"{summary(states)}   Ctrl-C detaches; the same command comes back."))


def summary(states: Mapping[str, RunState]) -> str:
    """Count runs by status: `3 running, 4 queued, 18 finished`."""
    counts = Counter(state.status for state in states.values())
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items(), key=lambda item: _rank(item[0])))


def duration(seconds: float | None) -> str:
    """Write seconds as 45 s, 3 min or 2 h 05."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d}"


def _rank(status: str) -> int:
    order = ("failed", "blocked", "vanished", "preempted", "running", "queued", "new", "finished")
    return order.index(status) if status in order else 0


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)

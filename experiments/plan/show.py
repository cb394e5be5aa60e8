"""A plan as a person reads it, and as JSON."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from experiments.plan.images import Images, images_of
from experiments.plan.planning import PlannedRun, datasets_of, kind_of
from experiments.plan.render import learning_rate, num_steps, places_of
from experiments.plan.rundirs import standing_of_scores
from experiments.plan.suite import PATCH_SIZE
from experiments.plan.why import OLD_SCORES, SCORED_AGAIN, Cause
from multimae.console import PlainConsole, plain_console
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
    screen = _screen()
    screen.print(table)
    for line in (*places_read(plan), *_starts(plan), *_images(plan)):
        screen.print(line)
    screen.print(f"checkpoints: about {size_text(kept)} on the disk when all have finished")


def _starts(plan: Sequence[PlannedRun]) -> Iterator[str]:
    """Say once how each start is read and built, where that is not as usual."""
    said = set()
    for run in (planned.run for planned in plan):
        facts = [f"#{word}" for word in (run.weights.reading.words if run.weights else ())]
        if run.patch_size != PATCH_SIZE:
            facts.append(f"patches of {run.patch_size} pixels")
        if run.num_global_tokens != 1:
            facts.append(f"{run.num_global_tokens} global tokens")
        line = f"{run.checkpoint}: {', '.join(facts)}"
        if facts and line not in said:
            said.add(line)
            yield line


def _images(plan: Sequence[PlannedRun]) -> Iterator[str]:
    """Yield how many images the runs of each task train on, validate on and test on."""
    tasks: dict[tuple[str, Images], list[str]] = {}
    for planned in plan:
        key = (planned.data.name, images_of(planned.run, data=planned.data))
        if planned.run.task.name not in tasks.setdefault(key, []):
            tasks[key].append(planned.run.task.name)
    for (dataset, images), names in tasks.items():
        val = f"{images.val} to validate on" if images.val else "none to validate on"
        yield f"images of {dataset}: {images.train} to train on, {val}, {images.test} to test on ({', '.join(names)})"
    for planned in {planned.run.task.name: planned for planned in plan}.values():
        images, step = images_of(planned.run, data=planned.data), planned.run.recipe.batch_size
        if kind_of(planned.run).fit(planned.run.recipe) != "neighbours" and step > images.train:
            yield f"{planned.run.task.name}: a step of {step} samples shows some of {images.train} images repeatedly"


def places_read(plan: Sequence[PlannedRun]) -> list[str]:
    """Say in a line each where the data sets and the weights lie that runs read."""
    data = [f"{name} in {found.root}" for name, found in datasets_of(plan).items()]
    files = {planned.run.weights.name: planned.run.weights.path for planned in plan if planned.run.weights}
    return [f"reads {place}" for place in (*data, *(f"the weights {name} in {path}" for name, path in files.items()))]


def print_causes(found: Sequence[Cause]) -> None:
    """Say once per cause which runs are trained or scored again."""
    screen = _screen()
    for cause in found:
        screen.print(cause.text, soft_wrap=True)


def size_text(num_bytes: int) -> str:
    """Write a number of bytes as people do: 310 MB, 1.2 GB."""
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:.0f} MB"
    return f"{num_bytes / 1e9:.1f} GB"


def _screen() -> PlainConsole:
    screen = plain_console()
    return screen if screen.is_terminal else plain_console(width=PIPE_WIDTH)


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
            "patch_size": planned.run.patch_size,
            "num_global_tokens": planned.run.num_global_tokens,
            "depends_on": list(planned.depends_on),
            "images": asdict(images_of(planned.run, data=planned.data)),
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

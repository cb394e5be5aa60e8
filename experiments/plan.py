"""From runs to a plan: each run's key, what the key covers, and why a run is new."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.task import Recipe
from experiments.fingerprint import code_hashes, digest, environment
from experiments.suite import Run
from multimae.sizes import SIZES

ENTRY_POINT = "multimae.train"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data set a sweep runs on: where it lies and what its files are."""

    name: str
    root: Path
    fingerprint: str
    num_train: int
    num_test: int


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run with its identity: `parts` lists everything the digest in its key covers."""

    run: Run
    key: str
    parts: Mapping[str, Mapping[str, Any]]
    depends_on: tuple[str, ...]


def make_plan(runs: Sequence[Run], *, data: Data) -> tuple[PlannedRun, ...]:
    """Give every run its key; a run that starts from the pre-training depends on the pre-training's own key."""
    plan: list[PlannedRun] = []
    pretraining: PlannedRun | None = None
    for run in runs:
        source = pretraining if run.checkpoint == "pretrain" else None
        parts = _parts(run, data=data, source=source)
        planned = PlannedRun(
            run=run,
            key=f"{run.name}-{digest(parts)[:8]}",
            parts=parts,
            depends_on=(source.key,) if source else (),
        )
        plan.append(planned)
        if run.task.kind == "pretraining":
            pretraining = planned
    return tuple(plan)


def modules_of(run: Run, *, dataset: str) -> tuple[str, ...]:
    """Name the modules a job of this run imports by name; what those import follows from them."""
    model = "multimae.pretraining" if run.task.kind == "pretraining" else "multimae.transfer"
    head = (f"multimae.heads.{run.task.head}",) if run.task.head else ()
    data = ("multimae.data.folder", "multimae.data.pipelines", f"multimae.data.{dataset}")
    return (model, *head, *data, "multimae.evaluation", "multimae.engine.optim")


def _parts(run: Run, *, data: Data, source: PlannedRun | None) -> dict[str, dict[str, Any]]:
    return {
        "config": settings(run),
        "code": code_hashes([ENTRY_POINT, *modules_of(run, dataset=data.name)]),
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "checkpoint": {source.run.task.name: source.key} if source else {},
        "environment": dict(environment()),
    }


def settings(run: Run) -> dict[str, Any]:
    """Flatten what was chosen for a run; a recipe field at its default is left out, so new fields rename nothing."""
    size = {f"size.{name}": _plain(value) for name, value in asdict(SIZES[run.size]).items()}
    return {
        "task": run.task.name,
        "head": run.task.head,
        **{f"head.{name}": value for name, value in run.task.head_settings.items()},
        "loss": run.task.loss,
        "inputs": list(run.inputs),
        "seed": run.seed,
        **size,
        **{f"recipe.{name}": value for name, value in _differing(run.recipe).items()},
    }


def _plain(value: Any) -> Any:
    """Write a tuple as JSON will give it back, so that a recorded run compares equal to a planned one."""
    return list(value) if isinstance(value, tuple) else value


def _differing(recipe: Recipe) -> dict[str, Any]:
    values = {field.name: (getattr(recipe, field.name), field.default) for field in fields(recipe)}
    return {name: value for name, (value, default) in values.items() if value != default}


def difference(parts: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """Say which keys of the digest differ from a recorded run's: `part.key: recorded -> now`."""
    everything = [
        (part, name) for part in {*parts, *recorded} for name in {**parts.get(part, {}), **recorded.get(part, {})}
    ]
    pairs = {
        f"{part}.{name}": (recorded.get(part, {}).get(name, "absent"), parts.get(part, {}).get(name, "absent"))
        for part, name in sorted(everything)
    }
    return [f"{key}: {then} -> {now}" for key, (then, now) in pairs.items() if then != now]

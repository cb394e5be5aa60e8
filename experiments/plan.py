"""From runs to a plan: each run's key, what the key covers, and why a run is new."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.task import Kind, Recipe, TransferRecipe
from experiments.fingerprint import code_hashes, digest, environment
from experiments.suite import Run
from multimae.sizes import SIZES

ENTRY_POINT = "multimae.train"
TARGETS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"pretraining": (), "semseg": ("semseg",), "depth": ("depth",), "classification": ()}
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data set a sweep runs on: where it lies and what its files are; `num_labels` 0 means it has no classes."""

    name: str
    root: Path
    fingerprint: str
    num_train: int
    num_test: int
    num_labels: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run with its identity: `parts` lists everything the digest in its key covers."""

    run: Run
    key: str
    parts: Mapping[str, Mapping[str, Any]]
    depends_on: tuple[str, ...]


def make_plan(runs: Sequence[Run], *, data: Data) -> tuple[PlannedRun, ...]:
    """Give every run its key; a run that starts from a pre-training depends on the pre-training's own key."""
    plan: list[PlannedRun] = []
    pretrainings: dict[str, PlannedRun] = {}
    for run in runs:
        source = pretrainings.get(run.checkpoint)
        parts = _parts(run, data=data, source=source)
        planned = PlannedRun(
            run=run,
            key=f"{run.name}-{digest(parts)[:8]}",
            parts=parts,
            depends_on=(source.key,) if source else (),
        )
        plan.append(planned)
        if run.provides:
            pretrainings[run.provides] = planned
    return tuple(plan)


def modules_of(run: Run, *, dataset: str) -> tuple[str, ...]:
    """Name the modules a job of this run imports by name; what those import follows from them."""
    model = "multimae.pretraining" if run.task.kind == "pretraining" else "multimae.transfer"
    head = (f"multimae.heads.{head_of(run)}",) if run.task.head else ()
    pipelines = "multimae.data.classification" if run.task.kind == "classification" else "multimae.data.pipelines"
    data = ("multimae.data.folder", pipelines, f"multimae.data.{dataset}")
    return (model, *head, *data, "multimae.evaluation", "multimae.engine.optim")


def head_of(run: Run) -> str:
    """Name the head a run trains: its task's, or the probe that stands in for it."""
    tuning = run.recipe.tuning if isinstance(run.recipe, TransferRecipe) else "full"
    return {"linear": "probe", "knn": "neighbours"}.get(tuning, run.task.head)


def predicted(run: Run) -> tuple[str, ...]:
    """Name the modalities a pre-training predicts."""
    return run.outputs or run.inputs


def modalities_of(run: Run) -> tuple[str, ...]:
    """Name the modalities whose files a run reads."""
    outputs = predicted(run) if run.task.kind == "pretraining" else ()
    return tuple(dict.fromkeys((*run.inputs, *outputs, *TARGETS[run.task.kind])))


def _parts(run: Run, *, data: Data, source: PlannedRun | None) -> dict[str, dict[str, Any]]:
    return {
        "config": settings(run),
        "code": code_hashes([ENTRY_POINT, *modules_of(run, dataset=data.name)]),
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "checkpoint": _start_of(run, source=source),
        "environment": dict(environment()),
    }


def _start_of(run: Run, *, source: PlannedRun | None) -> dict[str, str]:
    if source:
        return {source.run.task.name: source.key}
    return {run.weights.name: run.weights.digest} if run.weights else {}


def settings(run: Run) -> dict[str, Any]:
    """Flatten what was chosen for a run; a recipe field at its default is left out, so new fields rename nothing."""
    size = {f"size.{name}": _plain(value) for name, value in asdict(SIZES[run.size]).items()}
    return {
        "task": run.task.name,
        "head": run.task.head,
        **{f"head.{name}": value for name, value in run.task.head_settings.items()},
        "loss": run.task.loss,
        "inputs": list(run.inputs),
        **({"outputs": list(run.outputs)} if run.outputs else {}),
        "seed": run.seed,
        **size,
        **{f"recipe.{name}": value for name, value in _differing(run.recipe).items()},
    }


def _plain(value: Any) -> Any:
    """Write a tuple as JSON will give it back, so that a recorded run compares equal to a planned one."""
    return list(value) if isinstance(value, tuple) else value


def _differing(recipe: Recipe) -> dict[str, Any]:
    values = {field.name: (getattr(recipe, field.name), field.default) for field in fields(recipe)}
    return {name: _plain(value) for name, (value, default) in values.items() if value != default}


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

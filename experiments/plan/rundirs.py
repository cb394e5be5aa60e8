"""Run directories: written once from the plan, before any job starts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.plan.planning import PlannedRun, datasets_of, difference, settings
from experiments.plan.render import as_python, render
from multimae.record.files import write_json, write_text


def prepare(planned: PlannedRun, *, suite_dir: Path) -> Path:
    """Create a run's directory with config.py and run.json; run.json is written last and never again."""
    folder = suite_dir / planned.key
    if (folder / "run.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    config = render(planned)
    title = f"{planned.key}: run again with `python -m multimae.train {planned.key}`."
    write_text(folder / "config.py", as_python(config, title=title))
    write_json(folder / "run.json", describe(planned))
    return folder


def describe(planned: PlannedRun) -> dict[str, Any]:
    """Return the run.json of a run."""
    run, data = planned.run, planned.data
    return {
        "schema": 1,
        "key": planned.key,
        "suite": run.suite,
        "task": run.task.name,
        "kind": run.task.kind,
        "checkpoint": run.checkpoint,
        "inputs": list(run.inputs),
        "seed": run.seed,
        "size": run.size,
        "profile": run.profile,
        "dataset": {"name": data.name, "root": str(data.root), "fingerprint": data.fingerprint},
        "depends_on": list(planned.depends_on),
        "primary": {"metric": run.task.primary.metric, "protocol": run.task.primary.protocol},
        "settings": settings(run),
        "digest": planned.parts,
    }


def write_sweep(
    plan: Sequence[PlannedRun],
    *,
    suite_dir: Path,
    title: str,
    command: Sequence[str],
    created: float,
    parent: str = "",
) -> None:
    """Record which runs the suite consists of now; older run directories stay but are no part of its table.

    `parent` names what tracking keeps the runs under, for a search, whose runs become more.
    """
    first = plan[0].run
    read = datasets_of(plan)
    path = suite_dir / "sweep.json"
    sweep = {
        "schema": 1,
        "suite": first.suite,
        "title": title,
        "dataset": "+".join(read),
        "datasets": {
            name: {"num_train": data.num_train, "num_test": data.num_test, "folder": data.root.name}
            for name, data in read.items()
        },
        "profile": first.profile,
        "size": first.size,
        "command": list(command),
        "keys": [planned.key for planned in plan],
        **({"parent": parent} if parent else {}),
    }
    recorded = read_json(path)
    if {**recorded, "created": None} != {**sweep, "created": None}:
        write_json(path, {**sweep, "created": created})


def why_new(planned: PlannedRun, *, suite_dir: Path) -> list[str]:
    """Name the exact keys that make a run new, against the most recent run of the same name."""
    recorded = [read_json(path) for path in suite_dir.glob(f"{planned.run.name}-????????/run.json")]
    if not recorded:
        return ["no run of this name yet"]
    changes = [difference(planned.parts, run.get("digest", {})) for run in recorded]
    return min(changes, key=len)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object, empty when there is no such file."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return value if isinstance(value, dict) else {}

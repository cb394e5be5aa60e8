"""search.json: the facts that a report needs to know beside the study."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.searches.planning import SearchPlan
from multimae.record.files import read_json, write_json
from multimae.record.paths import SuiteDir


def describe_search(
    plan: SearchPlan,
    *,
    arguments: argparse.Namespace,
    folder: Path,
    repeats: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write search.json; without `repeats`, those that an earlier process has trained stay."""
    recorded = read_json(SuiteDir(folder).search) or {}
    kept = {label: list(keys) for label, keys in (repeats or recorded.get("repeats", {})).items()}
    write_json(SuiteDir(folder).search, {**_described(plan, arguments=arguments), "repeats": kept})


def _described(plan: SearchPlan, *, arguments: argparse.Namespace) -> dict[str, Any]:
    run = plan.trial(plan.own_values).run
    return {
        "schema": 1,
        "name": plan.name,
        "suite": plan.suite.name,
        "task": run.task.name,
        "inputs": list(run.inputs),
        "checkpoint": run.checkpoint,
        "dataset": plan.data.name,
        "profile": run.profile,
        "size": run.size,
        "space": {
            name: {"distribution": str(item.distribution), "when": {key: list(of) for key, of in item.when.items()}}
            for name, item in plan.space.dimensions.items()
        },
        "own_values": dict(plan.own_values),
        "objective": list(plan.objective.names),
        "directions": list(plan.objective.directions),
        "primary": {"metric": run.task.primary.metric, "protocol": run.task.primary.protocol},
        "sampler": arguments.sampler,
        "pruner": arguments.pruner,
        "brackets": [list(bracket.rungs) for bracket in plan.brackets],
        "trials": arguments.trials,
        "seed": arguments.seed,
        "search_seed": arguments.search_seed,
        "storage": arguments.storage or "",
    }

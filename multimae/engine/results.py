"""The one file that says a run is finished, written once, by rename."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from multimae.engine.selection import BestWeights, Selection
from multimae.record.evaluation import Evaluation
from multimae.record.files import write_json

PACKAGES = ("torch", "torchvision", "timm", "onedl-mmengine", "numpy", "pillow")
COPIED = ("key", "suite", "task", "checkpoint", "inputs", "seed", "size", "profile", "primary")


def write_result(
    run_dir: Path,
    *,
    run: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    predictions: Sequence[Mapping[str, Any]],
    num_params: int,
    steps: int,
    started: float,
    selection: Selection = "last",
    best: BestWeights | None = None,
) -> None:
    """Write result.json; `seconds` add up the attempts that the spools record, waiting time left out.

    `best` are the weights that `selection` chose.
    """
    result = {
        "schema": 1,
        **{name: run[name] for name in COPIED},
        "dataset": run["dataset"]["name"],
        "digest8": run["key"].rsplit("-", 1)[-1],
        "rows": [row | {"selection": selection} for item in evaluations for row in _rows(item, item.metrics)],
        "baselines": [row for item in evaluations for row in _rows(item, item.baseline)],
        "predictions": list(predictions),
        "selected": _selected(selection, best=best, steps=steps),
        "num_params": num_params,
        "steps": steps,
        "seconds": round(_seconds(run_dir), 1),
        "attempts": len([folder for folder in (run_dir / "attempts").iterdir() if (folder / "started.json").exists()]),
        "started": started,
        "finished": time.time(),
        "environment": {package: metadata.version(package) for package in PACKAGES},
        "notes": [*(item.note for item in evaluations if item.note), *_notes(selection, best=best)],
    }
    write_json(run_dir / "result.json", result)


def _rows(evaluation: Evaluation, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "split": evaluation.split,
            "protocol": evaluation.protocol,
            "metric": name,
            "value": value if math.isfinite(value) else None,
            "n": evaluation.num_samples,
            **({} if math.isfinite(value) else {"diverged": True}),
        }
        for name, value in metrics.items()
    ]


def _selected(selection: Selection, *, best: BestWeights | None, steps: int) -> dict[str, Any]:
    """Say which weights were scored: after how many steps, and by which value they were chosen."""
    if best is None or not best.step:
        return {"selection": selection, "step": steps}
    return {"selection": selection, "step": best.step, "metric": best.metric.name, "value": best.value}


def _notes(selection: Selection, *, best: BestWeights | None) -> list[str]:
    if best is None:
        return []
    if not best.step:
        return [f"no weights could be selected, {best.metric.label} was never a number: the last ones are reported"]
    if selection == "test":
        return [f"selected on the test set: the weights after step {best.step} have the best {best.metric.label} there"]
    return []


def _seconds(run_dir: Path) -> float:
    total = 0.0
    for spool in (run_dir / "spool").glob("*.jsonl"):
        times = []
        for line in spool.read_text().splitlines():
            try:
                times.append(json.loads(line)["time"])
            except ValueError:
                continue  # the torn last line of a killed attempt
        total += max(times, default=0.0) - min(times, default=0.0)
    return total

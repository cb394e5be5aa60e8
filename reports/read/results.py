"""Read a suite's run directories: one record per run, and one tidy frame with a row per number."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimae.record.attempt import attempts_of
from multimae.record.events import History, read_history
from multimae.record.nearest import unknown
from multimae.record.paths import suites_in
from multimae.record.result import Result, Score, scoring_changes
from multimae.record.run import Run
from multimae.record.state import RunState, run_state, with_dependencies
from multimae.record.sweep import Sweep
from multimae.tables.metrics import METRICS, Metric
from multimae.tables.modalities import MODALITIES

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = "constant"
"""The checkpoint column of the rows that a constant predictor reached."""

EARLIER = "earlier code"
"""The `scored_by` column of runs whose scores were not made by what the newest sweep would score them by."""

COLUMNS = (
    "run", "suite", "task", "checkpoint", "inputs", "seed", "size", "dataset", "split", "protocol", "metric", "value",
    "n", "unit", "higher_is_better", "selection", "inference", "flip", "scored_by", "steps", "seconds", "attempts",
    "digest", "status",
)  # fmt: skip

_KEY = re.compile(r"(?P<task>.+)-(?P<checkpoint>[^-]+)-(?P<inputs>[^-]+)-s(?P<seed>\d+)-(?P<digest>[0-9a-f]+)")


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """One training: what was asked for, where it stands, and its result once there is one.

    `described` is its run.json; where that is missing, it says no more than the run's key does. `dataset` is what it
    reads, which rooms may be whatever its task is called.
    """

    directory: Path
    described: Run
    dataset: str
    state: RunState
    history: History
    num_attempts: int
    result: Result | None

    @property
    def key(self) -> str:
        return self.directory.name

    @property
    def scored_otherwise(self) -> list[str]:
        """Which code and protocols differ between what scored it and what the newest sweep would score it by."""
        now = self.described.scoring
        return scoring_changes(self.result.scoring, now) if self.result and now else []

    @property
    def task(self) -> str:
        return self.described.task

    @property
    def checkpoint(self) -> str:
        return self.described.checkpoint

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.described.inputs

    @property
    def seed(self) -> int:
        return self.described.seed

    @property
    def settings(self) -> Mapping[str, Any]:
        """Flat; a recipe's fields at their defaults are left out."""
        return self.described.settings

    @property
    def digest(self) -> str:
        return self.key.rpartition("-")[2]

    @property
    def digest_parts(self) -> dict[str, str]:
        """What went into the digest, in ten characters a part: two runs agree on a part when these agree."""
        return {part: _short(value) for part, value in self.described.digest.items() if value}

    @property
    def steps(self) -> int:
        return self.result.steps if self.result else self.history.step

    @property
    def seconds(self) -> float:
        return self.result.seconds if self.result else self.history.seconds

    @property
    def pretraining(self) -> bool:
        """Whether other runs start from this one's weights."""
        return self.described.pretraining


@dataclass(frozen=True, kw_only=True)
class SuiteResults:
    """A suite's current plan and its runs, in the plan's order.

    `datasets` maps what the runs read to its number of images per split and its folder, as far as sweep.json tells.
    """

    suite: str
    datasets: Mapping[str, Mapping[str, Any]]
    sweep: Sweep
    runs: tuple[ReportedRun, ...]

    @property
    def num_transfers(self) -> int:
        """Count what is measured: tasks from one set of inputs each."""
        return len({(run.task, run.inputs) for run in self.runs if not run.pretraining})

    @property
    def pretraining_tasks(self) -> frozenset[str]:
        """The tasks that are pre-trainings."""
        return frozenset(run.task for run in self.runs if run.pretraining)


def read_suite(runs_dir: Path, *, suite: str, now: float) -> SuiteResults:
    """Read everything that a report of `suite` needs; `now` (unix seconds) decides which running jobs are silent."""
    sweep = read_sweep(runs_dir, suite=suite)
    folders = {key: runs_dir / suite / key for key in sweep.keys}
    described = {key: Run.read(folder) or _described_by_key(key, sweep=sweep) for key, folder in folders.items()}
    own = {key: run_state(folder, now=now) for key, folder in folders.items()}
    states = with_dependencies(own, depends_on={key: run.depends_on for key, run in described.items()})
    runs = tuple(
        _reported(folder, described=described[key], state=states[key], sweep=sweep) for key, folder in folders.items()
    )
    return SuiteResults(suite=suite, datasets=_datasets(runs, sweep=sweep), sweep=sweep, runs=runs)


def read_sweep(runs_dir: Path, *, suite: str) -> Sweep:
    """Return the current plan of a suite, or say which suites there are."""
    sweep = Sweep.read(runs_dir / suite)
    if sweep is None:
        known = suites_in(runs_dir)
        raise FileNotFoundError(
            f"{unknown('suite', suite, known)} under {runs_dir}; sweep.py --suite {suite} makes one"
        )
    return sweep


def to_frame(results: SuiteResults) -> "pd.DataFrame":
    """Lay out every number as one row; a run without a result is one row with its status and no value.

    The rows of the constant predictor carry checkpoint `constant` and status `baseline`. Every run measures it again;
    as it knows nothing but the data, one row per inputs and seed is kept.
    """
    import pandas as pd

    rows = [row for run in results.runs for row in _rows(run, suite=results.suite)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    whole_numbers = ("seed", "n", "steps", "attempts")
    kinds = dict.fromkeys(whole_numbers, "Int64") | {"higher_is_better": "boolean", "value": "float64"}
    frame = frame.astype(kinds)
    place = ["task", "checkpoint", "inputs", "seed", "split", "protocol", "metric"]
    return frame[~((frame["checkpoint"] == CONSTANT) & frame.duplicated(place))].reset_index(drop=True)


def metric_of(name: str) -> Metric:
    """Return what is known of a metric, or name the nearest known ones."""
    if name not in METRICS:
        raise ValueError(f"a result.json names what multimae.tables.metrics lacks: {unknown('metric', name, METRICS)}")
    return METRICS[name]


def join_inputs(inputs: Sequence[str]) -> str:
    """Write input modalities as run keys and tables do: `rgb+depth`."""
    return "+".join(inputs)


def inputs_order(inputs: str) -> tuple[int, list[int]]:
    """Sort key: fewer modalities first, then in the order of the modalities' table."""
    known = list(MODALITIES)
    names = inputs.split("+") if inputs else []
    return len(names), [known.index(name) if name in known else len(known) for name in names]


def _reported(folder: Path, *, described: Run, state: RunState, sweep: Sweep) -> ReportedRun:
    result = Result.read(folder)
    return ReportedRun(
        directory=folder,
        described=described,
        dataset=described.dataset.name or (result.dataset if result else "") or sweep.dataset,
        state=state,
        history=read_history(folder),
        num_attempts=len(attempts_of(folder)),
        result=result,
    )


def _datasets(runs: Sequence[ReportedRun], *, sweep: Sweep) -> dict[str, Mapping[str, Any]]:
    """Return what is known of every data set that the runs read."""
    names = dict.fromkeys(run.dataset for run in runs) or sweep.datasets
    return {name: sweep.datasets.get(name, {}) for name in names}


def _described_by_key(key: str, *, sweep: Sweep) -> Run:
    """Return as much of a run as its key and the sweep tell: a driver was killed before it wrote the rest."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(f"sweep.json lists {key!r}; wanted <task>-<checkpoint>-<inputs>-s<seed>-<digest>")
    return Run.from_plain(
        {
            "key": key,
            "suite": sweep.suite,
            "task": found["task"],
            "checkpoint": found["checkpoint"],
            "inputs": found["inputs"].split("+"),
            "seed": int(found["seed"]),
            "size": sweep.size,
            "profile": sweep.profile,
        }
    )


def _short(part: Any) -> str:
    """Say in ten characters what went into a digest: two runs agree on a part when these agree."""
    text = part if isinstance(part, str) else json.dumps(part, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _rows(run: ReportedRun, *, suite: str) -> Iterator[dict[str, Any]]:
    about = {
        "run": run.key, "suite": suite, "task": run.task, "checkpoint": run.checkpoint,
        "inputs": join_inputs(run.inputs), "seed": run.seed, "size": run.described.size, "dataset": run.dataset,
        "steps": run.steps, "seconds": run.seconds, "attempts": run.num_attempts, "digest": run.digest,
        "scored_by": EARLIER if run.scored_otherwise else "current code", "status": run.state.text,
    }  # fmt: skip
    if run.result is None:
        yield about | {"value": math.nan}
        return
    for row in run.result.rows:
        status = "diverged" if row.value is None else run.state.text
        yield about | _number(row) | _scoring(row, run=run) | {"status": status}
    for row in run.result.baselines:
        yield about | _number(row) | {"checkpoint": CONSTANT, "status": "baseline"}


def _number(row: Score) -> dict[str, Any]:
    metric = metric_of(row.metric)
    return {
        "split": row.split,
        "protocol": row.protocol,
        "metric": metric.name,
        "value": row.number,
        "n": row.n,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
    }


def _scoring(row: Score, *, run: ReportedRun) -> dict[str, str]:
    """Say which weights a number belongs to and how they were shown the images: only `standard` has ways to choose."""
    chosen = run.settings if row.protocol == "standard" else {}
    return {
        "selection": row.selection,
        "inference": chosen.get("recipe.inference", "whole"),
        "flip": chosen.get("recipe.flip", "none"),
    }

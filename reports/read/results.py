"""Read a suite's run directories: one record per run, and one tidy frame with a row per number."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimae.record.nearest import unknown
from multimae.tables.metrics import METRICS, Metric
from multimae.tables.modalities import MODALITIES
from reports.read.spool import Record, read_record
from reports.read.status import Attempt, Status, own_status, read_attempts, read_json, with_dependencies

if TYPE_CHECKING:
    import pandas as pd

CONSTANT = "constant"
"""The checkpoint column of the rows that a constant predictor reached."""

COLUMNS = (
    "run", "suite", "task", "checkpoint", "inputs", "seed", "size", "dataset", "split", "protocol", "metric", "value",
    "n", "unit", "higher_is_better", "selection", "inference", "flip", "steps", "seconds", "attempts", "digest",
    "status",
)  # fmt: skip

_KEY = re.compile(r"(?P<task>.+)-(?P<checkpoint>[^-]+)-(?P<inputs>[^-]+)-s(?P<seed>\d+)-(?P<digest>[0-9a-f]+)")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: what was asked for, where it stands, and its result once there is one.

    `dataset` is what it reads, which rooms may be whatever its task is called. `settings` are flat, a recipe's fields
    at their defaults left out; they, `profile` and the primary number are empty while there is no run.json.
    """

    key: str
    directory: Path
    task: str
    checkpoint: str
    inputs: tuple[str, ...]
    seed: int
    dataset: str
    size: str
    profile: str
    settings: Mapping[str, Any]
    digest: str
    digest_parts: Mapping[str, str]
    data_source: Mapping[str, str]
    primary_metric: str
    primary_protocol: str
    status: Status
    record: Record
    num_attempts: int
    result: Mapping[str, Any] | None

    @property
    def steps(self) -> int:
        return int(self.result["steps"]) if self.result else self.record.step

    @property
    def seconds(self) -> float:
        return float(self.result["seconds"]) if self.result else self.record.seconds

    @property
    def pretraining(self) -> bool:
        """Whether other runs start from this one's weights."""
        return is_pretraining(self.task)


@dataclass(frozen=True, kw_only=True)
class SuiteResults:
    """A suite's current plan and its runs, in the plan's order; `sweep` is sweep.json.

    `datasets` maps what the runs read to its number of images per split and its folder, as far as sweep.json tells.
    """

    suite: str
    datasets: Mapping[str, Mapping[str, Any]]
    sweep: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def num_transfers(self) -> int:
        """Count what is measured: tasks from one set of inputs each."""
        return len({(run.task, run.inputs) for run in self.runs if not run.pretraining})


def is_pretraining(task: str) -> bool:
    return task.endswith("-pretrain")


def read_suite(runs_dir: Path, *, suite: str, now: float) -> SuiteResults:
    """Read everything that a report of `suite` needs; `now` (unix seconds) decides which running jobs are silent."""
    sweep = read_sweep(runs_dir, suite=suite)
    drafts = {key: _read_draft(runs_dir / suite / key) for key in sweep["keys"]}
    own = {key: draft.own_status(now) for key, draft in drafts.items()}
    statuses = with_dependencies(own, depends_on={key: draft.depends_on for key, draft in drafts.items()})
    runs = tuple(draft.run(status=statuses[key], sweep=sweep) for key, draft in drafts.items())
    return SuiteResults(suite=suite, datasets=_datasets(runs, sweep=sweep), sweep=sweep, runs=runs)


def read_sweep(runs_dir: Path, *, suite: str) -> dict[str, Any]:
    """Return sweep.json, or say which suites there are."""
    sweep = read_json(runs_dir / suite / "sweep.json")
    if sweep is None:
        known = sorted(path.parent.name for path in runs_dir.glob("*/sweep.json"))
        raise FileNotFoundError(
            f"{unknown('suite', suite, known)} under {runs_dir}; sweep.py --suite {suite} makes one"
        )
    return dict(sweep)


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


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """The files of one run, before the runs it depends on are known."""

    directory: Path
    described: Mapping[str, Any]
    result: Mapping[str, Any] | None
    attempts: tuple[Attempt, ...]
    record: Record

    @property
    def depends_on(self) -> tuple[str, ...]:
        return tuple(self.described.get("depends_on") or ())

    def own_status(self, now: float) -> Status:
        return own_status(result=self.result, attempts=self.attempts, last_sign=self.record.last_time, now=now)

    def run(self, *, status: Status, sweep: Mapping[str, Any]) -> Run:
        described, primary = self.described, self.described.get("primary") or {}
        return Run(
            key=self.directory.name,
            directory=self.directory,
            task=described["task"],
            checkpoint=described["checkpoint"],
            inputs=tuple(described["inputs"]),
            seed=int(described["seed"]),
            dataset=self._dataset(otherwise=str(sweep["dataset"])),
            size=str(described.get("size", sweep.get("size", ""))),
            profile=str(described.get("profile", sweep.get("profile", ""))),
            settings=described.get("settings") or {},
            digest=self.directory.name.rsplit("-", 1)[-1],
            digest_parts={part: _short(value) for part, value in (described.get("digest") or {}).items() if value},
            data_source=described.get("dataset") or {},
            primary_metric=primary.get("metric", ""),
            primary_protocol=primary.get("protocol", ""),
            status=status,
            record=self.record,
            num_attempts=len(self.attempts),
            result=self.result,
        )

    def _dataset(self, *, otherwise: str) -> str:
        planned = (self.described.get("dataset") or {}).get("name")
        return str(planned or (self.result or {}).get("dataset") or otherwise)


def _datasets(runs: Sequence[Run], *, sweep: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Count the images of every data set read; a sweep.json of one data set once had its counts at the top."""
    counts: Mapping[str, Mapping[str, Any]] = sweep.get("datasets") or {
        sweep["dataset"]: {name: sweep[name] for name in ("num_train", "num_test") if name in sweep}
    }
    return {name: counts.get(name, {}) for name in dict.fromkeys(run.dataset for run in runs) or counts}


def _read_draft(directory: Path) -> _Draft:
    described = read_json(directory / "run.json") or _described_by_key(directory.name)
    return _Draft(
        directory=directory,
        described=described,
        result=read_json(directory / "result.json"),
        attempts=read_attempts(directory),
        record=read_record(directory),
    )


def _described_by_key(key: str) -> dict[str, Any]:
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(f"sweep.json lists {key!r}; wanted <task>-<checkpoint>-<inputs>-s<seed>-<digest>")
    return {
        "task": found["task"],
        "checkpoint": found["checkpoint"],
        "inputs": found["inputs"].split("+"),
        "seed": int(found["seed"]),
    }


def _short(part: Any) -> str:
    """Say in ten characters what went into a digest: two runs agree on a part when these agree."""
    text = part if isinstance(part, str) else json.dumps(part, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _rows(run: Run, *, suite: str) -> Iterator[dict[str, Any]]:
    about = {
        "run": run.key, "suite": suite, "task": run.task, "checkpoint": run.checkpoint,
        "inputs": join_inputs(run.inputs), "seed": run.seed, "size": run.size, "dataset": run.dataset,
        "steps": run.steps, "seconds": run.seconds, "attempts": run.num_attempts, "digest": run.digest,
        "status": run.status.text,
    }  # fmt: skip
    if run.result is None:
        yield about | {"value": math.nan}
        return
    for row in run.result["rows"]:
        status = "diverged" if row["value"] is None else run.status.text
        yield about | _number(row) | _scoring(row, run=run) | {"status": status}
    for row in run.result.get("baselines") or ():
        yield about | _number(row) | {"checkpoint": CONSTANT, "status": "baseline"}


def _number(row: Mapping[str, Any]) -> dict[str, Any]:
    metric = metric_of(row["metric"])
    return {
        "split": row["split"],
        "protocol": row["protocol"],
        "metric": metric.name,
        "value": math.nan if row["value"] is None else float(row["value"]),
        "n": row.get("n"),
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
    }


def _scoring(row: Mapping[str, Any], *, run: Run) -> dict[str, str]:
    """Say which weights a number belongs to and how they were shown the images: only `standard` has ways to choose."""
    chosen = run.settings if row["protocol"] == "standard" else {}
    return {
        "selection": row.get("selection", "last"),
        "inference": chosen.get("recipe.inference", "whole"),
        "flip": chosen.get("recipe.flip", "none"),
    }

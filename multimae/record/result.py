"""What a finished run has to say: its numbers, where they come from, and what they cost."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multimae.record.files import read_json, write_json
from multimae.record.paths import RunDir
from multimae.record.run import PROTOCOL, Judged, Run

SCHEMA = 2
ALWAYS = ("rows", "baselines", "predictions", "notes")
"""Written even where they are empty, for scripts that read the file; other empty fields are left out."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number; `value` is None where the training diverged, `n` the number of samples that it is of.

    `selection` says which weights were scored.
    """

    split: str
    protocol: str
    metric: str
    value: float | None
    n: int | None = None
    selection: str = "last"

    @property
    def number(self) -> float:
        """The value, NaN where the training diverged."""
        return math.nan if self.value is None else float(self.value)

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "Score":
        """Return the number that a JSON object describes."""
        return cls(**{name: value for name, value in record.items() if name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class SamplePictures:
    """The pictures of one sample: paths relative to the run's folder by what they show."""

    name: str
    images: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class EarlierScores:
    """What the same weights scored when the code that scores was another; `finished` in unix seconds."""

    code: Mapping[str, str]
    finished: float
    rows: tuple[Score, ...]
    baselines: tuple[Score, ...] = ()

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "EarlierScores":
        """Return the scoring that a JSON object describes."""
        return cls(
            code=record.get("code", {}),
            finished=float(record.get("finished", 0.0)),
            rows=tuple(map(Score.from_plain, record.get("rows", ()))),
            baselines=tuple(map(Score.from_plain, record.get("baselines", ()))),
        )


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """A user's word that a result stands after a change of the code that trains it.

    `code` is the digest of that code as it was then, `changes` say what had changed; `time` is in unix seconds.
    """

    code: str
    changes: tuple[str, ...]
    time: float

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "Acceptance":
        """Return the acceptance that a JSON object describes."""
        return cls(code=record["code"], changes=tuple(record["changes"]), time=float(record["time"]))


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one run.

    `rows` are its numbers, `baselines` those of a constant predictor on the same samples. `selected` says which weights
    were scored. `counts` are numbers of a job that is no training. `seconds` add up the attempts, waiting left out;
    `started` and `finished` are in unix seconds. `scoring` is the code and protocols that scored, `earlier` what others
    scored. `accepted` lists changes of code after which a user has kept the result.
    """

    key: str
    suite: str
    kind: str = ""
    task: str = ""
    checkpoint: str = ""
    inputs: tuple[str, ...] = ()
    seed: int = 0
    size: str = ""
    profile: str = ""
    primary: Judged = field(default_factory=Judged)
    dataset: str = ""
    rows: tuple[Score, ...] = ()
    baselines: tuple[Score, ...] = ()
    predictions: tuple[SamplePictures, ...] = ()
    selected: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    num_params: int = 0
    steps: int = 0
    seconds: float = 0.0
    attempts: int = 0
    started: float = 0.0
    finished: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scoring: Mapping[str, str] = field(default_factory=dict)
    earlier: tuple[EarlierScores, ...] = ()
    accepted: tuple[Acceptance, ...] = ()
    schema: int = SCHEMA

    @classmethod
    def read(cls, run_dir: Path) -> "Result | None":
        """Read result.json; None where the run is not finished."""
        record = read_json(RunDir(run_dir).result)
        return None if record is None else cls.from_plain(record)

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "Result":
        """Return the result that a JSON object describes, of this schema or an earlier one."""
        known = {name: value for name, value in record.items() if name in cls.__dataclass_fields__}
        for name in ("inputs", "notes"):
            known[name] = tuple(record.get(name, ()))
        for name in ("rows", "baselines"):
            known[name] = tuple(map(Score.from_plain, record.get(name) or ()))
        known["predictions"] = tuple(
            SamplePictures(name=str(one["name"]), images=one["images"]) for one in record.get("predictions") or ()
        )
        known["earlier"] = tuple(map(EarlierScores.from_plain, record.get("earlier", ())))
        known["accepted"] = tuple(map(Acceptance.from_plain, record.get("accepted", ())))
        known["primary"] = Judged(**(record.get("primary") or {}))
        known["kind"] = Run.from_plain({"key": "", "suite": "", **_identity(record)}).kind
        return cls(**known)

    def write(self, run_dir: Path) -> None:
        """Write result.json, by which the run is finished; whole or not at all."""
        record = {**asdict(self), "schema": SCHEMA}
        kept = {name: value for name, value in record.items() if name in ALWAYS or value not in ("", {}, ())}
        write_json(RunDir(run_dir).result, kept)


def scoring_changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say which code and protocols differ between what scored a result and what would score it now."""
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return [_changed(name, then=then.get(name), now=now.get(name)) for name in changed]


def _changed(name: str, *, then: str | None, now: str | None) -> str:
    if not name.startswith(PROTOCOL):
        return f"{name.partition('.')[2].replace('.', '/')}.py changed"
    return f"{name} was " + ("added" if then is None else "dropped" if now is None else "changed")


def results_before(run_dir: Path) -> tuple[Result, ...]:
    """Return the results of a run that other code had scored, oldest first."""
    paths = sorted(RunDir(run_dir).earlier_scores.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return tuple(Result.from_plain(record) for path in paths if (record := read_json(path)) is not None)


def earlier_scores(run_dir: Path) -> tuple[EarlierScores, ...]:
    """Return what other code had scored of a run."""
    return tuple(
        EarlierScores(code=one.scoring, finished=one.finished, rows=one.rows, baselines=one.baselines)
        for one in results_before(run_dir)
    )


def accepted_before(run_dir: Path) -> tuple[Acceptance, ...]:
    """Return what a user had accepted of a run before it was scored again."""
    return tuple(dict.fromkeys(word for one in results_before(run_dir) for word in one.accepted))


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("kind", "task") if name in record}

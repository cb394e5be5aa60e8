"""What a run is: the file that is written before its first job starts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multimae.record.files import read_json, write_json
from multimae.record.paths import RunDir

SCHEMA = 2
PRETRAINING = "pretraining"
PROTOCOL = "protocol "
"""Begins the names of protocols among what scores a run; the others are names of modules."""
_ENDING_OF_PRETRAININGS = "-pretrain"
"""Schema 1 named no kind: there the name of a pre-training's task ends with this."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The one number that a run is judged by."""

    metric: str = ""
    protocol: str = ""


@dataclass(frozen=True, kw_only=True)
class DataRead:
    """The data set that a run reads, where it lies, and the hash of the names and sizes of its files.

    `folders` are those that the hash covers, of modalities; none where they were not noted.
    """

    name: str = ""
    root: str = ""
    fingerprint: str = ""
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training, or another job on its engine.

    `kind` is the kind of its task. `settings` are flat, a recipe's fields at their defaults left out. `digest` lists
    all that the key covers, by part; `scoring` the code and protocols that score it, which the key does not cover.
    `job` names the module that does the work where that is no training.
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
    dataset: DataRead = field(default_factory=DataRead)
    depends_on: tuple[str, ...] = ()
    primary: Judged = field(default_factory=Judged)
    settings: Mapping[str, Any] = field(default_factory=dict)
    digest: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scoring: Mapping[str, str] = field(default_factory=dict)
    job: str = ""
    schema: int = SCHEMA

    @property
    def pretraining(self) -> bool:
        """Whether it is a pre-training."""
        return self.kind == PRETRAINING

    @classmethod
    def read(cls, run_dir: Path) -> "Run | None":
        """Read run.json; None where the folder is not that of a run, or not yet."""
        record = read_json(RunDir(run_dir).run)
        return None if record is None else cls.from_plain(record)

    @classmethod
    def of(cls, run_dir: Path) -> "Run":
        """Read run.json; FileNotFoundError where the folder is not that of a run."""
        run = cls.read(run_dir)
        if run is None:
            raise FileNotFoundError(f"{run_dir} is no run directory: it has no run.json")
        return run

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "Run":
        """Return the run that a JSON object describes, of this schema or an earlier one."""
        known = {name: value for name, value in record.items() if name in cls.__dataclass_fields__}
        known["inputs"] = tuple(record.get("inputs", ()))
        known["depends_on"] = tuple(record.get("depends_on") or ())
        known["primary"] = Judged(**(record.get("primary") or {}))
        dataset = record.get("dataset") or {}
        known["dataset"] = DataRead(**{**dataset, "folders": tuple(dataset.get("folders", ()))})
        if not record.get("kind"):
            task = str(record.get("task", ""))
            known["kind"] = PRETRAINING if task.endswith(_ENDING_OF_PRETRAININGS) else ""
        return cls(**known)

    def write(self, run_dir: Path) -> None:
        """Write run.json, whole or not at all."""
        record = {**asdict(self), "schema": SCHEMA}
        write_json(RunDir(run_dir).run, {name: value for name, value in record.items() if value not in ("", {}, ())})

"""Which runs a suite consists of now: the file that reports and tracking begin with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from multimae.record.files import read_json, write_json
from multimae.record.paths import SuiteDir


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The current plan of a suite, or of a search.

    `datasets` maps what the runs read to its number of images per split and the name of its folder. `created` is in
    unix seconds. `parent` names what tracking keeps the runs under, for a search, whose runs become more. `source` is
    the file that describes the suite, empty of one that ships.
    """

    suite: str
    title: str = ""
    dataset: str = ""
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile: str = ""
    size: str = ""
    command: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    parent: str = ""
    source: str = ""
    created: float | None = None
    schema: int = 1

    @classmethod
    def read(cls, suite_dir: Path) -> "Sweep | None":
        """Read sweep.json; None where no sweep was ever started."""
        record = read_json(SuiteDir(suite_dir).sweep)
        if record is None:
            return None
        known = {name: value for name, value in record.items() if name in cls.__dataclass_fields__}
        command = record.get("command", ())
        known["command"] = (command,) if isinstance(command, str) else tuple(command)
        known["keys"] = tuple(record["keys"])
        if "datasets" not in record and "num_train" in record:  # written before a suite could span data sets
            known["datasets"] = {record["dataset"]: {name: record[name] for name in ("num_train", "num_test")}}
        return cls(**known)

    def write(self, suite_dir: Path) -> None:
        """Write sweep.json unless it says the same already, whenever that was."""
        recorded = Sweep.read(suite_dir)
        if recorded is None or replace(recorded, created=None) != replace(self, created=None):
            write_json(SuiteDir(suite_dir).sweep, asdict(self))

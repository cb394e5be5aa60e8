"""Where one start of a run reads: bound when it is submitted, since data sets and runs folders move."""

from collections.abc import Iterator, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multimae.record.files import read_json, write_json


@dataclass(frozen=True, kw_only=True)
class Places:
    """The folder of the data, and the file of the weights that a run starts from; "" for none.

    Both are absolute, but for the weights of another run: they are relative to the run's folder, and move along.
    """

    data: str
    weights: str = ""

    @classmethod
    def read(cls, path: Path) -> "Places | None":
        """Read places.json; None where a start reads what config.py names."""
        record = read_json(path)
        return None if record is None else cls(**{name: record[name] for name in cls.__dataclass_fields__})

    @classmethod
    def of_config(cls, config: Any) -> "Places":
        """Return the places that a config names, be it a dict or mmengine's."""
        return cls(data=str(config["train_dataloader"]["dataset"]["root"]), weights=config["job"]["init_from"] or "")

    def put_into(self, config: Any) -> None:
        """Let a config name these places."""
        for dataset in _datasets(config):
            dataset["root"] = self.data
        config["job"]["init_from"] = self.weights or None

    def write(self, path: Path) -> None:
        """Write places.json, whole or not at all."""
        write_json(path, asdict(self))


def _datasets(config: Any) -> Iterator[MutableMapping[str, Any]]:
    yield config["train_dataloader"]["dataset"]
    validation = config["job"]["validation"]
    for item in (*config["job"]["evaluations"], *([validation] if validation else [])):
        yield item["dataloader"]["dataset"]

"""What a job needs, and what the user's cluster wants to be told: `clusters.toml`, apart from the science."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from multimae.record.nearest import unknown
from slurm.duration import Duration

SEARCH_PATHS = (Path("clusters.toml"), Path("~/.config/multimae/clusters.toml"))


ComesBack = Literal["requeue", "driver"]


class ClusterError(ValueError):
    """The description of a cluster is missing or wrong."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one job may use. 0 for `memory_gb` leaves it to the scheduler."""

    cpus: int
    gpus: int
    memory_gb: int
    minutes: int

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.gpus < 0 or self.memory_gb < 0 or self.minutes < 1:
            raise ValueError(f"a job needs at least one CPU and one minute, and nothing below 0: got {self}")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One table of `clusters.toml`; without one, Slurm's own defaults.

    `time` replaces the estimated time limit of every job, `setup` are shell lines run before the job, `extra` are
    further sbatch options by their long name, `true` for a bare flag. `comes_back` says how a job that was stopped in
    time goes on: it puts itself back into the queue (`requeue`), or the next driver submits it (`driver`). Left out,
    the cluster is asked whether jobs may be requeued.
    """

    name: str = "default"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Duration | None = None
    comes_back: ComesBack | None = None
    setup: tuple[str, ...] = ()
    extra: Mapping[str, str | int | bool] = field(default_factory=dict)


def load_cluster(path: Path | None = None, *, name: str | None = None) -> Cluster:
    """Read cluster `name`, by default the first, from `path` or else the first of SEARCH_PATHS that exists."""
    file = path or next((place for place in _places() if place.is_file()), None)
    if file is None:
        if name is None:
            return Cluster()
        places = " or ".join(str(place) for place in SEARCH_PATHS)
        raise ClusterError(f"cluster {name!r} is described nowhere: write {places}, or name a file (--cluster-file)")
    tables = _read_tables(file)
    if name is None:
        name = next(iter(tables))
    if name not in tables:
        raise ClusterError(f"{file}: {unknown('cluster', name, tables)}")
    return _cluster(tables[name], name=name, file=file)


def _places() -> Iterator[Path]:
    """Yield where a clusters file may lie; without a home folder there is one place less."""
    for place in SEARCH_PATHS:
        try:
            yield place.expanduser()
        except RuntimeError:
            continue


def _read_tables(file: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClusterError(f"cannot read the clusters file {file}: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError, or bytes that are no text
        raise ClusterError(f"{file} is not valid TOML: {error}") from error
    stray = [key for key, value in tables.items() if not isinstance(value, dict)]
    if stray or not tables:
        got = f"{stray[0]!r} outside of any" if stray else "none"
        raise ClusterError(f"{file} wants one table per cluster, such as [my-cluster]; got {got}")
    return tables


def _cluster(table: Mapping[str, Any], *, name: str, file: Path) -> Cluster:
    where = f"{file} [{name}]"
    known = [entry.name for entry in fields(Cluster) if entry.name != "name"]
    for key, value in table.items():
        if key not in known:
            raise ClusterError(f"{where}: {unknown('setting', key, known)}; sbatch options go into `extra`")
        _check_type(value, key=key, where=where)
    values = dict(table)
    if "time" in values:
        try:
            values["time"] = Duration.parse(values["time"])
        except ValueError as error:
            raise ClusterError(f"{where} time: {error}") from error
    return Cluster(name=name, **{**values, "setup": tuple(values.get("setup", ()))})


def _check_type(value: object, *, key: str, where: str) -> None:
    if key == "setup":
        good, wanted = isinstance(value, list) and all(isinstance(line, str) for line in value), "a list of shell lines"
    elif key == "extra":
        good = isinstance(value, dict) and all(isinstance(item, (str, int)) for item in value.values())
        wanted = "a table of sbatch options, each a string, a number or true"
    elif key == "time":
        return  # the duration parser says it better
    elif key == "comes_back":
        good, wanted = value in get_args(ComesBack), f"one of {', '.join(get_args(ComesBack))}"
    else:
        good, wanted = isinstance(value, str), "a string"
    if not good:
        raise ClusterError(f"{where} {key} wants {wanted}, got {value!r}")

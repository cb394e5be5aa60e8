"""What a preparation has written: `manifest.jsonl` in its root, a header, then one line per file. Free of torch.

It is appended to while files appear, so that a kill costs at most the line being written, and sorted in the end.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from multimae.data.sample import DataError

NAME = "manifest.jsonl"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Say where a data set's files come from and what was made of them.

    `settings` are those that change files: a folder is never continued with others. `decisions` are sentences for a
    reader, `units` a sentence per modality, `left_out` counts what was published but not prepared, by reason.
    """

    dataset: str
    source: str
    settings: Mapping[str, str | int | float | None] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """Describe one file; `path` is relative to the root; no image has `shape` () and `dtype` ""."""

    path: str
    num_bytes: int
    sha256: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def split(self) -> str:
        return self.path.split("/")[0]

    @property
    def modality(self) -> str:
        """Name the folder below the split; "" for a file that lies beside those."""
        parts = self.path.split("/")
        return parts[1] if len(parts) > 2 else ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Hold a manifest; `complete` where the last preparation reached its end and nothing was damaged.

    `damaged` names what could not be read then, with the reason.
    """

    provenance: Provenance
    versions: Mapping[str, str]
    complete: bool = False
    damaged: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)


def append(root: Path, records: Iterable[FileRecord]) -> None:
    """Add files to a root's manifest."""
    with (root / NAME).open("ab") as file:
        file.write(b"".join(_line(asdict(record)) for record in records))


def write(root: Path, manifest: Manifest) -> None:
    """Write a manifest, whole or not at all, its files sorted by path."""
    temporary = root / f".{NAME}.{os.getpid()}.tmp"
    header = {
        "schema": SCHEMA,
        **_plain(manifest.provenance),
        "versions": dict(manifest.versions),
        "complete": manifest.complete,
        "damaged": dict(manifest.damaged),
    }
    try:
        with temporary.open("wb") as file:
            file.write(_line(header))
            file.writelines(_line(asdict(manifest.files[path])) for path in sorted(manifest.files))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(root / NAME)
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(root: Path) -> Manifest | None:
    """Return a root's manifest, None where there is none; a last line that a kill has torn does not count."""
    try:
        text = (root / NAME).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    *lines, _torn = text.split("\n")
    try:
        header, *files = map(json.loads, lines)
        return _manifest(header, files)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{root / NAME} is no manifest of `multimae data prepare` ({type(error).__name__}: {error}); restore it, "
            "or remove it to check the files without it"
        ) from error


def continued(manifest: Manifest, *, root: Path, provenance: Provenance) -> Manifest:
    """Return the manifest with today's provenance; raise if its files were made with other settings."""
    then, now = _identity(manifest.provenance), _identity(provenance)
    if then != now:
        names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        changes = "; ".join(f"{name} is {then.get(name)}, wanted {now.get(name)}" for name in names)
        raise DataError(f"{root} was prepared with other settings: {changes}. Keep to those, or choose another --out")
    return replace(manifest, provenance=provenance)


def _identity(provenance: Provenance) -> dict[str, Any]:
    return {"data set": provenance.dataset, **provenance.settings}


def _manifest(header: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> Manifest:
    if header["schema"] != SCHEMA:
        raise ValueError(f"schema {header['schema']}, wanted {SCHEMA}")
    provenance = Provenance(
        dataset=header["dataset"],
        source=header["source"],
        settings=header["settings"],
        decisions=tuple(header["decisions"]),
        units=header["units"],
        left_out=header["left_out"],
    )
    records = (FileRecord(**{**file, "shape": tuple(file["shape"])}) for file in files)
    return Manifest(
        provenance=provenance,
        versions=header["versions"],
        complete=header["complete"],
        damaged=header["damaged"],
        files={record.path: record for record in records},
    )


def _plain(provenance: Provenance) -> dict[str, Any]:
    return {
        "dataset": provenance.dataset,
        "source": provenance.source,
        "settings": dict(provenance.settings),
        "decisions": list(provenance.decisions),
        "units": dict(provenance.units),
        "left_out": dict(provenance.left_out),
    }


def _line(value: Mapping[str, Any]) -> bytes:
    return (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="backslashreplace")
        + b"\n"
    )

"""Checks of a data set, and what they came to, for the tests of this room."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from multimae.data import manifest as manifests
from multimae.data.manifest import FileRecord, Manifest, Provenance
from multimae.data.open import open_dataset
from multimae.data.sets.nyuv2 import SPEC
from multimae.verify.check import Effort, verify
from multimae.verify.findings import Verification

ALL = Effort(sample=None)


def check(root: Path, **effort: Any) -> Verification:
    return verify(open_dataset(root, SPEC), effort=replace(ALL, **effort))


def seen(found: Verification) -> set[tuple[str, str, str, str]]:
    return {(entry.kind, entry.split, entry.modality, entry.name) for entry in found.findings}


def record(root: Path, *, complete: bool = True, damaged: dict[str, str] | None = None) -> None:
    """Write the manifest that a preparation of these files would have left."""
    manifest = Manifest(provenance=Provenance(dataset="nyuv2", source="nowhere"), versions={})
    records = {
        path.relative_to(root).as_posix(): FileRecord(
            path=path.relative_to(root).as_posix(),
            num_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            shape=(),
            dtype="",
        )
        for path in root.rglob("*.png")
    }
    manifests.write(root, replace(manifest, complete=complete, damaged=damaged or {}, files=records))

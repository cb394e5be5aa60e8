"""Compare the files of a data set with the manifest that its preparation has left. Free of torch."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from multimae.data.manifest import NAME, FileRecord, Manifest, read_manifest
from multimae.data.sample import DataError
from multimae.verify.findings import Finding
from multimae.verify.inspection import shown_path
from multimae.verify.listing import Listing


def manifest_of(root: Path) -> tuple[Manifest | None, list[Finding]]:
    """Return a root's manifest, if it has one that can be read, and what it tells of its preparation."""
    try:
        manifest = read_manifest(root)
    except DataError as error:
        return None, [Finding(kind="manifest", name=NAME, detail=str(error))]
    if manifest is None:
        return None, []
    findings = [Finding(kind="manifest", name=name, detail=said) for name, said in manifest.damaged.items()]
    if not manifest.complete and not findings:
        findings.append(Finding(kind="manifest", name=NAME, detail="the preparation has not reached its end"))
    return manifest, findings


def differing(manifest: Manifest, *, root: Path) -> Iterator[Finding]:
    """Yield recorded files that are gone or of another size."""
    for record in manifest.files.values():
        try:
            size = (root / record.path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            yield _finding("lost", record)
        else:
            if size != record.num_bytes:
                yield _finding("changed", record, detail=f"{size} bytes, recorded are {record.num_bytes}")


def unrecorded(manifest: Manifest, listings: Iterable[Listing], *, root: Path) -> Iterator[Finding]:
    """Yield files that a preparation has not written, in folders in which it has written others."""
    prepared = {(record.split, record.modality) for record in manifest.files.values()}
    for listing in listings:
        for files in listing.samples:
            for modality, path in files.paths.items():
                name = shown_path(path, root=root)
                if name not in manifest.files and (name.split("/")[0], modality) in prepared:
                    yield Finding(kind="unrecorded", split=listing.split, modality=modality, name=name)


def wrong_hashes(records: Sequence[FileRecord], *, root: Path) -> list[Finding]:
    """Return the files whose content is not what was recorded, though their size is."""
    findings = []
    for record in records:
        try:
            with (root / record.path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError:
            continue
        if size == record.num_bytes and found != record.sha256:
            detail = f"SHA-256 {found[:12]}..., recorded is {record.sha256[:12]}..."
            findings.append(_finding("changed", record, detail=detail))
    return findings


def _finding(kind: str, record: FileRecord, *, detail: str = "") -> Finding:
    return Finding(kind=kind, split=record.split, modality=record.modality, name=record.path, detail=detail)

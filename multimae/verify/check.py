"""Check the files of a data set: names, formats, values, classes, splits and the manifest. Free of torch.

No fault ends the check: all are collected as findings.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from multimae.data.dataset import OpenedDataset
from multimae.data.layout import PlainDataset
from multimae.data.packed.dataset import PackedDataset
from multimae.data.parts import name_order
from multimae.data.sample import SampleFiles
from multimae.data.spec import DatasetSpec
from multimae.processes import spread
from multimae.verify.classes import leaks, other_classes, wrong_classes
from multimae.verify.codes import odd_codes
from multimae.verify.findings import FileCount, Finding, Progress, Verification
from multimae.verify.inspection import Inspection, inspect_all
from multimae.verify.listing import Listing, list_splits
from multimae.verify.packed import check_packed, not_packed
from multimae.verify.recorded import differing, manifest_of, unrecorded, wrong_hashes
from multimae.verify.tallies import Place, Tally, summed
from multimae.verify.units import implausible_depth

SAMPLES_PER_BATCH = 8
FILES_PER_BATCH = 32
Entry = TypeVar("Entry")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Say how much is looked at: `sample` samples of each split are decoded, None for all; `hashes` reads all files."""

    sample: int | None = 100
    hashes: bool = False
    workers: int = 1


def verify(
    opened: OpenedDataset, *, effort: Effort, progress: Progress = lambda what, done, total: None
) -> Verification:
    """Check a data set; `progress` takes the work's name, how much of it is done, and of how much."""
    if isinstance(opened, PackedDataset):
        return _verify_packed(opened, effort=effort, progress=progress)
    assert isinstance(opened, PlainDataset)
    return _verify_plain(opened, effort=effort, progress=progress)


def _verify_plain(opened: PlainDataset, *, effort: Effort, progress: Progress) -> Verification:
    root, described = opened.root, opened.spec
    listings, findings = list_splits(opened)
    findings += wrong_classes(listings, opened=opened)
    findings += (found for listing in listings for found in other_classes(listing, described=described))
    findings += leaks(listings, root=root)
    inspections, tallies = _inspect(listings, root=root, described=described, effort=effort, progress=progress)
    findings += (found for inspection in inspections for found in inspection.findings)
    findings += _units(inspections, described=described)
    num_files = {
        (listing.split, folder): listing.num_files(folder) for listing in listings for folder in listing.missing
    }
    findings += odd_codes(tallies, num_files=num_files, described=described)
    recorded, hashed = _compare_recorded(listings, root=root, effort=effort, progress=progress)
    return Verification(
        dataset=described.name,
        root=root,
        counts=tuple(_counts(listings, inspections)),
        findings=(*findings, *recorded),
        hashed=hashed,
    )


def _verify_packed(opened: PackedDataset, *, effort: Effort, progress: Progress) -> Verification:
    counts, findings = check_packed(opened, sample=effort.sample, progress=progress)
    findings += not_packed(opened.root)
    recorded, hashed = _compare_recorded([], root=opened.root, effort=effort, progress=progress)
    return Verification(
        dataset=opened.spec.name,
        root=opened.root,
        counts=tuple(counts),
        findings=(*findings, *recorded),
        hashed=hashed,
    )


def _inspect(
    listings: Sequence[Listing], *, root: Path, described: DatasetSpec, effort: Effort, progress: Progress
) -> tuple[list[Inspection], Mapping[Place, Tally]]:
    """Return what single samples have shown, sorted, and what depth and labels hold all together."""
    chosen = [(listing.split, files) for listing in listings for files in _chosen(listing, num=effort.sample)]
    batches = _batches(chosen, size=SAMPLES_PER_BATCH)
    inspections: list[Inspection] = []
    tallies: dict[Place, Tally] = {}
    progress("decoding", 0, len(chosen))
    work = partial(inspect_all, root=root, described=described)
    for done in spread(batches, work=work, workers=effort.workers):
        inspections += done.samples
        tallies = summed([*tallies.items(), *done.tallies.items()])
        progress("decoding", len(inspections), len(chosen))
    splits = [listing.split for listing in listings]
    ordered = sorted(inspections, key=lambda inspection: (splits.index(inspection.split), inspection.name))
    return ordered, {place: tallies[place] for place in sorted(tallies, key=lambda place: splits.index(place[0]))}


def _chosen(listing: Listing, *, num: int | None) -> Iterator[SampleFiles]:
    """Yield all samples of a split, or so many, spread over the names and the same every time."""
    names = listing.samples.names if num is None else sorted(listing.samples.names, key=name_order)[:num]
    return iter(listing.samples.only(sorted(names)))


def _units(inspections: Sequence[Inspection], *, described: DatasetSpec) -> Iterator[Finding]:
    for split in dict.fromkeys(inspection.split for inspection in inspections):
        medians = [found.depth_mm for found in inspections if found.split == split and found.depth_mm is not None]
        if (detail := implausible_depth(medians, described=described)) is not None:
            yield Finding(kind="depth_unit", split=split, modality="depth", detail=detail)


def _compare_recorded(
    listings: Sequence[Listing], *, root: Path, effort: Effort, progress: Progress
) -> tuple[list[Finding], int]:
    """Return what differs from the manifest, and how many hashes were compared."""
    manifest, findings = manifest_of(root)
    if manifest is None:
        return findings, 0
    findings += [*differing(manifest, root=root), *unrecorded(manifest, listings, root=root)]
    if not effort.hashes:
        return findings, 0
    records, hashed = list(manifest.files.values()), 0
    batches = _batches(records, size=FILES_PER_BATCH)
    for found in spread(batches, work=partial(wrong_hashes, root=root), workers=effort.workers):
        findings += found
        hashed = min(hashed + FILES_PER_BATCH, len(records))
        progress("hashing", hashed, len(records))
    return findings, len(records)


def _counts(listings: Sequence[Listing], inspections: Sequence[Inspection]) -> Iterator[FileCount]:
    decoded = Counter((found.split, modality) for found in inspections for modality in found.decoded)
    for listing in listings:
        for modality, missing in listing.missing.items():
            yield FileCount(
                split=listing.split,
                modality=modality,
                files=listing.num_files(modality),
                missing=len(missing),
                decoded=decoded[listing.split, modality],
            )


def _batches(entries: Sequence[Entry], *, size: int) -> list[Sequence[Entry]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]

"""Check a packed data set: the checksum and the codes of its maps, and what its samples lack. Free of torch."""

from collections.abc import Iterator
from pathlib import Path

from multimae.data.arrangements import SPLITS, modality_of
from multimae.data.decode import interpret, kind_of
from multimae.data.packed.dataset import PackedDataset
from multimae.data.packed.samples import PackedMaps, PackedSamples
from multimae.data.parts import name_order
from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec
from multimae.verify.codes import odd_codes
from multimae.verify.findings import FileCount, Finding, Progress
from multimae.verify.inspection import COUNTED, described_for, hollow
from multimae.verify.recorded import manifest_of
from multimae.verify.tallies import Place, Tally, summed, tally_of


def check_packed(
    opened: PackedDataset, *, sample: int | None, progress: Progress
) -> tuple[list[FileCount], list[Finding]]:
    """Count the maps of a packed data set and find what is wrong; `sample` maps a split are decoded, None for all."""
    counts, findings = list[FileCount](), list[Finding]()
    tallies: dict[Place, Tally] = {}
    for split in SPLITS:
        if not (opened.root / split).is_dir():
            continue
        try:
            samples = opened.samples(split, opened.modalities(split), missing="allow")
        except DataError as error:
            findings.append(Finding(kind="unlistable", split=split, detail=str(error)))
            continue
        chosen = sorted(sorted(samples.names, key=name_order)[:sample])
        for number, files in enumerate(samples.only(chosen)):
            progress(f"decoding {split}", number, len(chosen))
            found, counted = _check(files, split=split, described=opened.spec)
            findings += found
            tallies = summed([*tallies.items(), *counted])
        findings += _unpaired(samples, split=split)
        counts += _counts(samples, split=split, num_decoded=len(chosen))
    num_files = {(count.split, count.modality): count.files for count in counts}
    return counts, [*findings, *odd_codes(tallies, num_files=num_files, described=opened.spec)]


def not_packed(root: Path) -> Iterator[Finding]:
    """Yield what lay beside the plain files and was none, as the packing has recorded it."""
    manifest, _ = manifest_of(root)
    for reason, count in (manifest.provenance.left_out if manifest else {}).items():
        yield Finding(kind="left_out", detail=f"{count} {reason}, beside the files that were packed")


def _check(files: PackedMaps, *, split: str, described: DatasetSpec) -> tuple[list[Finding], list[tuple[Place, Tally]]]:
    findings, tallies = list[Finding](), list[tuple[Place, Tally]]()
    for folder, member in files.paths.items():
        place = {"split": split, "modality": folder, "name": files.name}
        modality = modality_of(folder)
        try:
            pixels = member.restored()
        except (DataError, OSError) as error:
            findings.append(Finding(kind="undecodable", detail=str(error), **place))
            continue
        spec = described_for(folder, described)
        try:
            array = interpret(pixels, path=Path(files.name), modality=modality, spec=spec)
        except DataError as error:
            findings.append(Finding(kind="values", detail=str(error), **place))
            continue
        findings += (Finding(kind=kind, detail=detail, **place) for kind, detail in hollow(array, modality))
        if kind_of(modality) in COUNTED:
            tallies.append(((split, folder), tally_of(array)))
    return findings, tallies


def _unpaired(samples: PackedSamples, *, split: str) -> Iterator[Finding]:
    for modality in samples.columns:
        for name in samples.lacking(modality):
            yield Finding(kind="missing_partner", split=split, modality=modality, name=name)


def _counts(samples: PackedSamples, *, split: str, num_decoded: int) -> Iterator[FileCount]:
    for modality in samples.columns:
        missing = len(samples.lacking(modality))
        there = len(samples) - missing
        yield FileCount(
            split=split,
            modality=modality,
            files=there,
            missing=missing,
            decoded=min(num_decoded, there),
        )

"""Check a packed data set: the checksum and the codes of its maps, and what its samples lack. Free of torch."""

from collections.abc import Callable, Iterator
from pathlib import Path

from multimae.data.arrangements import modality_of
from multimae.data.decode import interpret
from multimae.data.layout import name_order
from multimae.data.packed.samples import SPLITS, PackedMaps, PackedSamples, list_packed, packed_modalities
from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec
from multimae.verify.findings import Count, Finding
from multimae.verify.inspection import described_for, hollow

Progress = Callable[[str, int, int], object]


def check_shards(
    root: Path, *, described: DatasetSpec, sample: int | None, progress: Progress
) -> tuple[list[Count], list[Finding]]:
    """Return what a packed root holds and what is wrong with it; of a split `sample` are decoded, None for all."""
    counts, findings = list[Count](), list[Finding]()
    for split in SPLITS:
        if not (root / split).is_dir():
            continue
        try:
            modalities = packed_modalities(root, split)
            samples = list_packed(root, split, modalities, folders=None, missing="allow")
        except DataError as error:
            findings.append(Finding(kind="unlistable", split=split, detail=str(error)))
            continue
        chosen = sorted(sorted(samples.names, key=name_order)[:sample])
        for number, files in enumerate(samples.only(chosen)):
            progress(f"decoding {split}", number, len(chosen))
            findings += _check(files, split=split, described=described)
        findings += _unpaired(samples, split=split)
        counts += _counts(samples, split=split, num_decoded=len(chosen))
    return counts, findings


def _check(files: PackedMaps, *, split: str, described: DatasetSpec) -> Iterator[Finding]:
    for folder, member in files.paths.items():
        place = {"split": split, "modality": folder, "name": files.name}
        modality = modality_of(folder)
        try:
            pixels = member.restored()
        except (DataError, OSError) as error:
            yield Finding(kind="undecodable", detail=str(error), **place)
            continue
        spec = described_for(folder, described)
        try:
            array = interpret(pixels, path=Path(files.name), modality=modality, spec=spec)
        except DataError as error:
            yield Finding(kind="values", detail=str(error), **place)
            continue
        yield from (Finding(kind=kind, detail=detail, **place) for kind, detail in hollow(array, modality))


def _unpaired(samples: PackedSamples, *, split: str) -> Iterator[Finding]:
    for modality, column in samples.columns.items():
        for name, row in zip(samples.names, samples.rows, strict=True):
            if not samples.table.sizes[row, column]:
                yield Finding(kind="missing_partner", split=split, modality=modality, name=name)


def _counts(samples: PackedSamples, *, split: str, num_decoded: int) -> Iterator[Count]:
    for modality, column in samples.columns.items():
        there = int((samples.table.sizes[samples.rows, column] > 0).sum())
        yield Count(
            split=split,
            modality=modality,
            files=there,
            missing=len(samples) - there,
            decoded=min(num_decoded, there),
        )

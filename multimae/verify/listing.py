"""Say what is there of each split and modality, and which samples lack what. Free of torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from multimae.data.affixes import differing_affixes
from multimae.data.arrangements import FOLDERS, is_modality
from multimae.data.files import REASONS, composed, subfolders
from multimae.data.layout import PlainDataset
from multimae.data.sample import DataError, DataNotFoundError, PlainSamples
from multimae.record.nearest import unknown
from multimae.verify.findings import Finding
from multimae.verify.inspection import shown_path


@dataclass(frozen=True, kw_only=True)
class Listing:
    """List the samples of a split, whatever they lack; `missing` names those without a modality, by modality."""

    split: str
    samples: PlainSamples
    missing: Mapping[str, tuple[str, ...]]

    def num_files(self, modality: str) -> int:
        """Count the files of a modality."""
        return len(self.samples) - len(self.missing[modality])


def list_splits(opened: PlainDataset) -> tuple[list[Listing], list[Finding]]:
    """List every split that is there, and say what is wrong with folders and names."""
    listings, findings = list[Listing](), list[Finding]()
    for split in opened.splits:
        listing, found = _list_split(opened, split)
        findings += found
        if listing is not None:
            listings.append(listing)
            findings += [*_without_files(listing, opened=opened), *_unpaired(listing)]
        elif not found:
            home = opened.split_dir(split)
            kind = "empty_split" if home.is_dir() else "missing_split"
            findings.append(Finding(kind=kind, split=split, detail=f"looked in {home}"))
    known = {(finding.split, finding.modality) for finding in findings}
    known |= {("", finding.modality) for finding in findings if finding.kind == "lost_images"}
    absent = _absent(listings, wanted=opened.spec.modalities)
    return listings, [*findings, *(finding for finding in absent if (finding.split, finding.modality) not in known)]


def _list_split(opened: PlainDataset, split: str) -> tuple[Listing | None, list[Finding]]:
    there, findings = list[str](), list(_unknown_folders(opened, split))
    for folder in FOLDERS:
        try:
            findings += _left_out(opened, split, folder)
            opened.samples(split, (folder,), missing="allow", lost="allow")
        except DataNotFoundError:
            continue
        except DataError as error:
            if any(found.kind == "lost_images" and found.modality == folder for found in findings):
                continue  # it holds nothing else
            findings.append(Finding(kind="unlistable", split=split, modality=folder, detail=str(error)))
        else:
            there.append(folder)
    if not there:
        return None, findings
    samples = opened.samples(split, there, missing="allow", lost="allow")
    missing = {folder: tuple(_without(samples, folder)) for folder in there}
    return Listing(split=split, samples=samples, missing=missing), findings


def _left_out(opened: PlainDataset, split: str, folder: str) -> Iterator[Finding]:
    """Yield, for each class and reason, what lies in the folder of a modality and is not read."""
    home = opened.arrangement.place(split, folder).folder
    empty = opened.classes_of_folders().empty if split == "train" else ()
    for entry in opened.listing(split, folder).left_out:
        kind = "lost_images" if entry.loses_images else "left_out"
        if entry.reason == "no_images_in" and not entry.group and composed(entry.names[0]) in empty:
            kind = "empty_class"
        remedy = REASONS[entry.reason].remedy
        yield Finding(
            kind=kind,
            split=split,
            modality=folder,
            name=shown_path(home / entry.group, root=opened.root),
            detail=f"{entry}; {remedy}" if remedy else str(entry),
        )


def _without_files(listing: Listing, *, opened: PlainDataset) -> Iterator[Finding]:
    """Yield the samples that the split's table lists and that no modality has."""
    listed = opened.arrangement.place(listing.split, next(iter(listing.missing))).names or ()
    for name in sorted({*listed} - {*listing.samples.names}):
        yield Finding(kind="missing_sample", split=listing.split, name=name)


def _without(samples: PlainSamples, modality: str) -> Iterator[str]:
    suffixes = samples.suffixes[modality]
    if not isinstance(suffixes, str):
        yield from (name for name in samples.names if name not in suffixes)


def _unpaired(listing: Listing) -> Iterator[Finding]:
    there = {name: {*listing.samples.names} - {*missing} for name, missing in listing.missing.items()}
    if (affixes := differing_affixes(there)) is not None:
        yield Finding(kind="other_affixes", split=listing.split, detail=str(affixes))
        return
    for modality, names in listing.missing.items():
        yield from (
            Finding(kind="missing_partner", split=listing.split, modality=modality, name=name) for name in names
        )


def _absent(listings: Sequence[Listing], *, wanted: Sequence[str]) -> Iterator[Finding]:
    """Yield the modalities of the data set that a split, or all of them, do not have."""
    for modality in wanted:
        without = [listing.split for listing in listings if modality not in listing.samples.folders]
        if listings and len(without) == len(listings):
            yield Finding(kind="missing_modality", modality=modality)
        else:
            yield from (Finding(kind="missing_in_split", split=split, modality=modality) for split in without)


def _unknown_folders(opened: PlainDataset, split: str) -> Iterator[Finding]:
    """Yield what lies beside the modalities and is none, such as `mask`; where there are no modalities, nothing."""
    home = opened.split_dir(split)
    folders = subfolders(home) if home.is_dir() else []
    if not any(map(is_modality, folders)):
        return
    for folder in folders:
        if not is_modality(folder):
            detail = unknown("modality", folder, FOLDERS)
            yield Finding(kind="unknown_folder", split=split, modality=folder, detail=detail)

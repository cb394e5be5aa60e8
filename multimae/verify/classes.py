"""Check the classes of samples, and that no test sample was trained on. Free of torch."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from multimae.data.label_table import LABEL_TABLE, label_rows, read_rows
from multimae.data.labels import FIXED, label_code
from multimae.data.layout import PlainDataset
from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec
from multimae.verify.codes import MOST_LISTED
from multimae.verify.findings import Finding
from multimae.verify.inspection import shown_path
from multimae.verify.listing import Listing


def wrong_classes(listings: Sequence[Listing], *, opened: PlainDataset) -> Iterator[Finding]:
    """Yield rows of labels.csv and samples that do not match, and samples whose class no training sample is of."""
    tables = {listing.split: opened.split_dir(listing.split) / LABEL_TABLE for listing in listings}
    broken = {split: list(_broken_rows(table, split)) for split, table in tables.items()}
    for findings in broken.values():
        yield from findings
    if any(broken.values()):
        return
    # Of folders, those without images are reported where they lie.
    table = opened.split_dir("train") / LABEL_TABLE
    known = opened.class_names() if table.is_file() else opened.classes_of_folders().names
    for listing in listings:
        names, split = listing.samples.names, listing.split
        if tables[split].is_file():
            yield from _unlisted(tables[split], split, names)
            listed = label_rows(tables[split])
            names = tuple(name for name in names if name in listed)
        if known:
            yield from _of_unknown_class(opened, split, names, known=known)


def _broken_rows(table: Path, split: str) -> Iterator[Finding]:
    if not table.is_file():
        return
    try:
        faults = [row.fault for row in read_rows(table) if row.fault]
    except DataError as error:
        faults = [str(error)]
    yield from (Finding(kind="label_rows", split=split, name=LABEL_TABLE, detail=fault) for fault in faults)


def _unlisted(table: Path, split: str, names: Sequence[str]) -> Iterator[Finding]:
    listed, there = label_rows(table), set(names)
    for name in names:
        if name not in listed:
            yield Finding(kind="label_rows", split=split, name=name, detail="has no row")
    for name in listed:
        if name not in there:
            yield Finding(kind="label_rows", split=split, name=name, detail="has a row, but no file")


def _of_unknown_class(
    opened: PlainDataset, split: str, names: Sequence[str], *, known: Sequence[str]
) -> Iterator[Finding]:
    try:
        found = opened.labels(split, names)
    except DataError as error:
        yield Finding(kind="label_rows", split=split, detail=str(error))
        return
    for name, label in found.items():
        if label not in known:
            yield Finding(kind="unknown_class", split=split, name=name, detail=f"class {label!r}")
    never = [label for label in known if label not in {*found.values()}]
    if split == "test" and never:
        listed = ", ".join(never[:MOST_LISTED]) + (", ..." if len(never) > MOST_LISTED else "")
        yield Finding(kind="never_tested", split=split, detail=f"{len(never)} of {len(known)} classes: {listed}")


def other_classes(listing: Listing, *, described: DatasetSpec) -> Iterator[Finding]:
    """Yield the labels that were made by a network and say of themselves that they are of other classes.

    Predicted labels may be of the data set's, to serve in place of them, or of those that are always theirs.
    """
    own = {described.name: label_code("semseg", spec=described)}
    for kind, folder, codes in (
        ("other_classes", "semseg", own),
        *(("other_pseudo_classes", folder, {folder: code, **own}) for folder, code in FIXED.items()),
    ):
        found = _recorded_classes(listing.samples.folders.get(folder))
        if found is None or found in [code.names() for code in codes.values()]:
            continue
        detail = f"{len(found)} classes, first {next(iter(found.items()), None)}"
        for owner, code in codes.items():
            detail += f"; {owner} has {code.num_classes}, first {next(iter(code.names().items()))}"
        yield Finding(kind=kind, split=listing.split, modality=folder, detail=detail)


def _recorded_classes(folder: Path | None) -> dict[str, str] | None:
    """Return the classes that the manifest of a labelling names: beside the class folders, or above the only one."""
    manifests = (place / "manifest.json" for place in (folder, folder.parent)) if folder else ()
    manifest = next((file for file in manifests if file.is_file()), None)
    if manifest is None:
        return None
    try:
        classes: dict[str, str] = json.loads(manifest.read_text("utf-8")).get("classes", {})
    except (ValueError, AttributeError):
        return {}
    return classes


def leaks(listings: Sequence[Listing], *, root: Path) -> Iterator[Finding]:
    """Yield samples that train has, too: of the same name and the same image, or all maps where there is no image."""
    by_split = {listing.split: listing for listing in listings}
    if "train" not in by_split:
        return
    train = by_split.pop("train").samples
    for split, listing in by_split.items():
        both = sorted(set(train.names) & set(listing.samples.names))
        for ours, theirs in zip(train.only(both), listing.samples.only(both), strict=True):
            shared = [modality for modality in theirs.paths if modality in ours.paths]
            compared = ["rgb"] if "rgb" in shared else shared
            if compared and all(_same(ours.paths[modality], theirs.paths[modality]) for modality in compared):
                ours_and_theirs = (shown_path(files.paths[compared[0]], root=root) for files in (ours, theirs))
                yield Finding(kind="leak", split=split, name=theirs.name, detail=" is ".join(ours_and_theirs))


def _same(ours: Path, theirs: Path) -> bool:
    try:
        if ours.stat().st_size != theirs.stat().st_size:
            return False
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (ours, theirs)}
    except OSError:  # decoding reports the file
        return False
    return len(digests) == 1

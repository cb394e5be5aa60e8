"""What can be wrong with the files of a data set: kinds, findings and what they amount to. Free of torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Severity = Literal["error", "warning"]
Progress = Callable[[str, int, int], object]
"""Takes the part of the check that is under way, the number of items done and of all items."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Say what is wrong and what to do; training stops at an error, or would learn something false from it."""

    severity: Severity
    title: str
    remedy: str


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "missing_split": Fault(
            severity="warning", title="split that is not there", remedy="what trains or tests on it will refuse"
        ),
        "empty_split": Fault(severity="error", title="split without images", remedy="add its files"),
        "missing_modality": Fault(
            severity="warning", title="modality that is not there", remedy="tasks that read it will refuse"
        ),
        "missing_in_split": Fault(
            severity="error", title="modality that another split has", remedy="add its folder, or remove the others"
        ),
        "unknown_folder": Fault(
            severity="warning", title="folder that nothing reads", remedy="rename it if it is one of those"
        ),
        "unlistable": Fault(
            severity="error", title="folder that cannot be listed", remedy="samples are not known before it can"
        ),
        "lost_images": Fault(
            severity="error", title="images that are not read, for which all are refused", remedy="see each"
        ),
        "empty_class": Fault(
            severity="error", title="class folders of train without images", remedy="remove them, or add their images"
        ),
        "other_affixes": Fault(
            severity="error",
            title="names that differ only in what stands around them",
            remedy="rename the files: one name a sample",
        ),
        "left_out": Fault(severity="warning", title="files and folders that are not data", remedy="nothing reads them"),
        "missing_sample": Fault(
            severity="error", title="samples that the split's table lists, without files", remedy="add their files"
        ),
        "missing_partner": Fault(
            severity="error", title="samples without a file of this modality", remedy="add the files or remove the rest"
        ),
        "undecodable": Fault(
            severity="error", title="truncated or damaged files", remedy="restore them or remove their samples"
        ),
        "format": Fault(
            severity="error", title="files of another format", remedy="write them again with the mode and bits wanted"
        ),
        "values": Fault(
            severity="error", title="values that must not occur", remedy="write the files again in the codes wanted"
        ),
        "size": Fault(
            severity="error", title="samples of maps of different sizes", remedy="bring all of a sample to one size"
        ),
        "no_depth": Fault(
            severity="error", title="depth without one valid pixel", remedy="restore the files or remove their samples"
        ),
        "nothing_valid": Fault(
            severity="warning", title="validity masks that leave nothing", remedy="such samples teach and score nothing"
        ),
        "unlabelled": Fault(
            severity="warning", title="labels without one labelled pixel", remedy="see whether that is meant"
        ),
        "constant": Fault(severity="warning", title="images of one colour", remedy="see whether that is meant"),
        "depth_unit": Fault(
            severity="warning",
            title="depth that does not look like millimetres",
            remedy="see whether to convert it",
        ),
        "too_large": Fault(
            severity="error",
            title="photographs of more pixels than are read",
            remedy="shrink them or remove their samples",
        ),
        "unturned": Fault(
            severity="error",
            title="samples whose maps were drawn before EXIF turned their photograph",
            remedy="turn the maps as well, or take the entry out of the photograph",
        ),
        "maybe_unturned": Fault(
            severity="warning",
            title="photographs that EXIF turns and their maps not, of sizes that fit either way",
            remedy="see whether the maps were drawn on what viewers show",
        ),
        "transparent": Fault(
            severity="warning", title="photographs that are partly transparent", remedy="they are read over white"
        ),
        "outlying_depth": Fault(
            severity="warning",
            title="depth that is far from all other and repeats",
            remedy="if it means no reading, say so in DatasetSpec(invalid_depth=(...))",
        ),
        "counted_from_zero": Fault(
            severity="warning",
            title="labels that look as if they counted from 0",
            remedy="if they do, say so in DatasetSpec(first_label=0)",
        ),
        "never_trained": Fault(
            severity="warning", title="classes that never occur", remedy="a training on it cannot learn them"
        ),
        "never_tested": Fault(
            severity="warning", title="classes that never occur", remedy="scores on it say nothing about them"
        ),
        "reordered_palette": Fault(
            severity="warning",
            title="labels whose palette has the others' colours under other codes",
            remedy="an optimiser of images may have renumbered them: restore the files",
        ),
        "without_palette": Fault(
            severity="warning",
            title="labels without a palette beside others that have one",
            remedy="a conversion to grey may have changed their codes: see whether they are classes",
        ),
        "label_rows": Fault(
            severity="error", title="labels.csv and files do not match", remedy="one row name,label for every sample"
        ),
        "unknown_class": Fault(
            severity="error", title="samples of a class that train lacks", remedy="move them, or add it to train"
        ),
        "other_classes": Fault(
            severity="error",
            title="labels of other classes than the data set's",
            remedy="label with a network trained on its classes",
        ),
        "other_pseudo_classes": Fault(
            severity="warning",
            title="pseudo labels of neither COCO's classes nor the data set's",
            remedy="label with a network trained on one of them",
        ),
        "leak": Fault(
            severity="error", title="samples that are in train, too", remedy="remove them from one of the splits"
        ),
        "manifest": Fault(
            severity="error", title="manifest that tells of an unfinished preparation", remedy="prepare again"
        ),
        "lost": Fault(severity="error", title="prepared files that are gone", remedy="prepare again"),
        "changed": Fault(severity="error", title="files changed since they were prepared", remedy="prepare again"),
        "unrecorded": Fault(
            severity="warning", title="files that the manifest does not know", remedy="see where they come from"
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Report one thing of a kind of FAULTS; `name` is a sample's or, relative to the root, a file's.

    `split` and `modality` are "" where it concerns all.
    """

    kind: str
    split: str = ""
    modality: str = ""
    name: str = ""
    detail: str = ""

    @property
    def severity(self) -> Severity:
        return FAULTS[self.kind].severity


@dataclass(frozen=True, kw_only=True)
class FileCount:
    """Count the files of a modality in a split: there, `missing` beside the others', and decoded."""

    split: str
    modality: str
    files: int
    missing: int
    decoded: int


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Hold what a check has seen and found; `hashed` counts the files compared with the manifest's hashes."""

    dataset: str
    root: Path
    counts: tuple[FileCount, ...]
    findings: tuple[Finding, ...]
    hashed: int

    def num(self, severity: Severity) -> int:
        """Count the findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


Group = tuple[str, str, str]


def grouped(findings: Iterable[Finding]) -> Mapping[Group, list[Finding]]:
    """Group findings by kind, split and modality: errors first, kinds as FAULTS has them, the rest as they came."""
    groups: dict[Group, list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.split, finding.modality), []).append(finding)
    order = sorted(FAULTS, key=lambda kind: FAULTS[kind].severity)  # stable, and "error" comes before "warning"
    return {group: groups[group] for group in sorted(groups, key=lambda group: order.index(group[0]))}

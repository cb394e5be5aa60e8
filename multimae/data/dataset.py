"""What can be asked of a data set on the disk, however its files are arranged. Free of torch."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multimae.data.arrangements import VALIDITY
from multimae.data.label_table import LABEL_TABLE, label_rows, unlisted
from multimae.data.sample import DataError, SampleMaps, Samples
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import MODALITIES

MEASURED = frozenset({"depth", "normals", "domain"})
"""Kinds of maps that may be invalid somewhere, where `mask_valid` says so."""

Missing = Literal["error", "allow"]


@dataclass(frozen=True, kw_only=True)
class OpenedDataset(ABC):
    """Answer questions about the data set below `root`, whose facts are `spec`.

    Listings are kept: open it again after files have changed.
    """

    root: Path
    spec: DatasetSpec

    @property
    @abstractmethod
    def own_val(self) -> bool:
        """Whether there is a validation split beside the test split."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that a data set arranged like this has."""
        return ("train", "val", "test") if self.own_val else ("train", "test")

    @abstractmethod
    def split_dir(self, split: str) -> Path:
        """Return the folder of a split; all splits of a data set may lie in one."""

    @abstractmethod
    def has(self, split: str, folder: str) -> bool:
        """Say whether a split has maps of a modality; `folder` is its name, or `pseudo_` and its name."""

    @abstractmethod
    def samples(
        self,
        split: str,
        modalities: Sequence[str],
        *,
        folders: Mapping[str, str] | None = None,
        missing: Missing = "error",
    ) -> Samples[SampleMaps]:
        """Return the samples of a split, sorted by name; by default every name must be there in every modality.

        `folders`: a modality's folder where it is not its name, such as `pseudo_depth`. `missing="allow"` keeps samples
        that lack some of the modalities.
        """

    @abstractmethod
    def fingerprint(self, splits: Iterable[str], modalities: Sequence[str]) -> str:
        """Return a sha256 that any file added, lost or rewritten changes."""

    @abstractmethod
    def _classes_of_train(self) -> tuple[str, ...]:
        """Return the classes, sorted, that the training samples are named after."""

    def with_validity(self, split: str, modalities: Sequence[str]) -> tuple[str, ...]:
        """Add `mask_valid` to modalities that may be invalid somewhere, where the data set has it."""
        wanted = tuple(modalities)
        measured = any(name in MODALITIES and MODALITIES[name].kind in MEASURED for name in wanted)
        if VALIDITY in wanted or not measured or not self.has(split, VALIDITY):
            return wanted
        return (*wanted, VALIDITY)

    def labels(self, split: str, names: Iterable[str]) -> dict[str, str]:
        """Return the class name of each sample: its folder's, or that of its row in labels.csv (name,label)."""
        table = self.split_dir(split) / LABEL_TABLE
        if not table.is_file():
            by_folder = {name: name.rpartition("/")[0] for name in names}
            if without := [name for name, label in by_folder.items() if not label]:
                raise DataError(
                    f"{len(without)} samples have no class, such as {without[0]}: use class folders or {table}"
                )
            return by_folder
        listed = label_rows(table)
        if gap := unlisted(table, names, listed=listed):
            raise DataError(gap)
        return {name: listed[name] for name in names}

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the training split's classes in the order of their numbers; none where there are none."""
        table = self.split_dir("train") / LABEL_TABLE
        return tuple(sorted({*label_rows(table).values()})) if table.is_file() else self._classes_of_train()

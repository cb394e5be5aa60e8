"""Plain files: `ROOT/{train,val,test}/{modality}/{class, or all}/{name}.{ext}`, or as published. Free of torch.

Modalities are paired by name: pairing sorted lists by position, as the reference does, shifts every sample after a
missing file without a word. How folders may be arranged is in `arrangements.py`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from multimae.data.affixes import differing_affixes
from multimae.data.arrangements import Arrangement
from multimae.data.dataset import Missing, OpenedDataset
from multimae.data.files import holds_images, refuse_lost
from multimae.data.label_table import LABEL_TABLE
from multimae.data.places import PlacedFiles
from multimae.data.sample import DataError, PlainSamples

SuffixByName = Mapping[str, str]
Lost = Literal["error", "allow"]


@dataclass(frozen=True, kw_only=True)
class TrainClasses:
    """Name the classes of the training split's folders: those with images, which are counted, and the `empty` ones."""

    names: tuple[str, ...]
    empty: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlainDataset(OpenedDataset):
    """List the files of a data set, one for each sample and modality."""

    arrangement: Arrangement
    # A plan asks for the same folders once per run, and ImageNet's take seconds to list.
    _listings: dict[tuple[str, str], PlacedFiles] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def own_val(self) -> bool:
        """Whether there is a validation split beside the test split."""
        return self.arrangement.own_val

    def split_dir(self, split: str) -> Path:
        """Return the folder of a split; all splits of a data set may lie in one."""
        return self.arrangement.home(split)

    def has(self, split: str, folder: str) -> bool:
        """Say whether a split has the folder of a modality."""
        return self.arrangement.place(split, folder).folder.is_dir()

    def samples(
        self,
        split: str,
        modalities: Sequence[str],
        *,
        folders: Mapping[str, str] | None = None,
        missing: Missing = "error",
        lost: Lost = "error",
    ) -> PlainSamples:
        """Return the samples of a split, sorted by name; by default every name must be there in every modality.

        Images that are left out are an error, unless `lost="allow"`: a check reports them one by one.
        """
        folder_of = {modality: (folders or {}).get(modality, modality) for modality in modalities}
        places = {modality: self.arrangement.place(split, folder) for modality, folder in folder_of.items()}
        found = {modality: self.listing(split, folder) for modality, folder in folder_of.items()}
        if lost == "error":
            for modality, listed in found.items():
                refuse_lost(listed.left_out, where=places[modality].folder)
        names = set[str]().union(*(listed.suffixes for listed in found.values()))
        if not names:
            raise DataError(f"no images of {split} in {', '.join(str(place.folder) for place in places.values())}")
        if missing == "error":
            names.update(*(place.names or () for place in places.values()))
            suffixes = {modality: listed.suffixes for modality, listed in found.items()}
            _check_complete(self.split_dir(split), sorted(names), suffixes)
        return PlainSamples(
            names=tuple(sorted(names)),
            folders={modality: place.base for modality, place in places.items()},
            suffixes={name: _compact(listed.suffixes, num_names=len(names)) for name, listed in found.items()},
            spellings={modality: listed.spellings for modality, listed in found.items() if listed.spellings},
        )

    def listing(self, split: str, folder: str) -> PlacedFiles:
        """Return what lies in the folder of a modality, and what of it was left out."""
        if (split, folder) not in self._listings:
            self._listings[split, folder] = self.arrangement.place(split, folder).files()
        return self._listings[split, folder]

    def fingerprint(self, splits: Iterable[str], modalities: Sequence[str]) -> str:
        """Return a sha256 of names and sizes: cheap enough for every plan, and any file added, lost or rewritten shows.

        A file changed without a change of its size is not seen.
        """
        lines = []
        for split in splits:
            for modality in self.with_validity(split, modalities):
                files, base = self.listing(split, modality), self.arrangement.place(split, modality).base
                lines += [
                    f"{split}/{modality}/{name}{suffix} {_size(f'{base}/{files.path(name)}')}"
                    for name, suffix in files.suffixes.items()
                ]
            table = self.split_dir(split) / LABEL_TABLE
            if table.is_file():
                lines.append(f"{split}/{LABEL_TABLE} {sha256(table.read_bytes()).hexdigest()}")
        return sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()

    def classes_of_folders(self) -> TrainClasses:
        """Return the classes that folders of the training split stand for, in any modality."""
        folders = self.arrangement.class_folders()
        listed = (found.groups for (split, _), found in self._listings.items() if split == "train")
        filled = set[str]().union(*listed)
        for name in folders.keys() - filled:
            if any(holds_images(place.folder, reads=place.reads) for place in folders[name]):
                filled.add(name)
        return TrainClasses(
            names=tuple(name for name in folders if name in filled),
            empty=tuple(name for name in folders if name not in filled),
        )

    def _classes_of_train(self) -> tuple[str, ...]:
        found = self.classes_of_folders()
        if found.empty:
            raise DataError(
                f"{self.split_dir('train')} has {len(found.empty)} folders of classes without images, such as "
                f"{found.empty[0]!r}, beside {len(found.names)} with images; remove them, or add their images"
            )
        return found.names

    def __getstate__(self) -> dict[str, Any]:
        # Another process lists again what it needs; ImageNet's listings would take seconds to send.
        return {**self.__dict__, "_listings": {}}


def _compact(suffixes: SuffixByName, *, num_names: int) -> str | SuffixByName:
    """Keep one suffix for all names where that says everything."""
    kinds = set(suffixes.values())
    return next(iter(kinds)) if len(kinds) == 1 and len(suffixes) == num_names else suffixes


def _check_complete(folder: Path, names: Sequence[str], found: Mapping[str, SuffixByName]) -> None:
    gaps = []
    for modality, suffixes in found.items():
        if missing := [name for name in names if name not in suffixes]:
            examples = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            gaps.append(f"{modality} lacks {len(missing)} of {len(names)} names: {examples}")
    if gaps:
        advice = str(differing_affixes(found) or "Add the files or remove the rest")
        raise DataError(f"modalities do not match in {folder}: {'; '.join(gaps)}. {advice}")


def _size(path: str) -> int:
    # A Path takes as long to make as the question to the system.
    return os.stat(path).st_size  # noqa: PTH116

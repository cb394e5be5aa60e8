"""Plain files: `ROOT/{train,val,test}/{modality}/{class, or all}/{name}.{ext}`, or as published. Free of torch.

Modalities are paired by name: pairing sorted lists by position, as the reference does, shifts every sample after a
missing file without a word. How folders may be arranged is in `arrangements.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from multimae.data.arrangements import Arrangement, Place
from multimae.data.dataset import LABEL_TABLE, Missing, OpenedDataset
from multimae.data.sample import DataError, PlainSamples

SuffixByName = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PlainDataset(OpenedDataset):
    """List the files of a data set, one for each sample and modality."""

    arrangement: Arrangement
    # A plan asks for the same folders once per run, and ImageNet's take seconds to list.
    _listings: dict[tuple[str, str], SuffixByName] = field(default_factory=dict, init=False, repr=False, compare=False)

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
    ) -> PlainSamples:
        """Return the samples of a split, sorted by name; by default every name must be there in every modality."""
        folder_of = {modality: (folders or {}).get(modality, modality) for modality in modalities}
        places = {modality: self.arrangement.place(split, folder) for modality, folder in folder_of.items()}
        found = {modality: self._listing(split, folder) for modality, folder in folder_of.items()}
        names = set[str]().union(*found.values())
        if not names:
            raise DataError(f"no images of {split} in {', '.join(str(place.folder) for place in places.values())}")
        if missing == "error":
            names.update(*(place.names or () for place in places.values()))
            _check_complete(self.split_dir(split), sorted(names), found)
        return PlainSamples(
            names=tuple(sorted(names)),
            folders={modality: place.base for modality, place in places.items()},
            suffixes={modality: _compact(suffixes, num_names=len(names)) for modality, suffixes in found.items()},
        )

    def fingerprint(self, splits: Iterable[str], modalities: Sequence[str]) -> str:
        """Return a sha256 of names and sizes: cheap enough for every plan, and any file added, lost or rewritten shows.

        A file changed without a change of its size is not seen.
        """
        lines = []
        for split in splits:
            for modality in self.with_validity(split, modalities):
                files = self.arrangement.place(split, modality).files()
                lines += [f"{split}/{modality}/{name}{suffix} {entry.stat().st_size}" for name, suffix, entry in files]
            table = self.split_dir(split) / LABEL_TABLE
            if table.is_file():
                lines.append(f"{split}/{LABEL_TABLE} {sha256(table.read_bytes()).hexdigest()}")
        return sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()

    def _classes_of_train(self) -> tuple[str, ...]:
        return self.arrangement.class_names()

    def _listing(self, split: str, folder: str) -> SuffixByName:
        if (split, folder) not in self._listings:
            self._listings[split, folder] = _suffixes_by_name(self.arrangement.place(split, folder))
        return self._listings[split, folder]

    def __getstate__(self) -> dict[str, Any]:
        # Another process lists again what it needs; ImageNet's listings would take seconds to send.
        return {**self.__dict__, "_listings": {}}


def _suffixes_by_name(place: Place) -> SuffixByName:
    suffixes: dict[str, str] = {}
    for name, suffix, entry in place.files():
        other = suffixes.setdefault(name, suffix)
        if other is not suffix and other != suffix:
            raise DataError(f"{place.base / (name + other)} and {entry.name} are two files for one sample; remove one")
    return suffixes


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
        raise DataError(f"modalities do not match in {folder}: {'; '.join(gaps)}. Add the files or remove the rest")

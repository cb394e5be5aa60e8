"""How the folders of a data set are arranged: ours, or as published, which is read without copying. Free of torch.

Every arrangement says where the files of a split's modality lie; `layout.py` makes samples of them.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from multimae.data.sample import DataNotFoundError
from multimae.data.taskonomy_splits import SPLITS as SPLITS
from multimae.data.taskonomy_splits import ViewSplits
from multimae.tables.modalities import MODALITIES

VALIDITY = "mask_valid"
PSEUDO = "pseudo_"
NO_CLASS = "all"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
ENDINGS = frozenset(suffix[1:] for suffix in IMAGE_SUFFIXES)
MOST_SHOWN = 12
PREDICTED = tuple(f"{PSEUDO}{name}" for name in MODALITIES if not name.startswith(PSEUDO))
FOLDERS = tuple(dict.fromkeys((*MODALITIES, VALIDITY, *PREDICTED)))
"""All folders that something of this project reads."""
ADE_SPLITS = MappingProxyType({"train": "training", "test": "validation"})
ADE_FOLDERS = MappingProxyType({"rgb": "images", "semseg": "annotations"})
VIEW = re.compile(r"point_\d+_view_\d+_domain_")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Say where one modality of one split lies: in `folder`, in its only subfolder `all`, or in one for each group.

    `tail` is what stands between the names and the suffixes of its files. `groups` and `names` are those that belong
    to the split; None is all of them.
    """

    folder: Path
    tail: str = ""
    groups: Collection[str] | None = None
    names: Collection[str] | None = None

    @property
    def base(self) -> Path:
        """The folder that names are relative to: a subfolder `all` is left out of them."""
        return self.folder / NO_CLASS if (self.folder / NO_CLASS).is_dir() else self.folder

    def files(self) -> Iterator[tuple[str, str, "os.DirEntry[str]"]]:
        """Yield name and suffix of every image, the suffix with the tail."""
        if not self.folder.is_dir():
            raise DataNotFoundError(_absent(self.folder))
        base = self.base
        groups = [] if base != self.folder else sorted(entry.name for entry in subfolders(base))
        for group in groups or [""]:
            if self.groups is None or group in self.groups:
                yield from self._images(base, group)

    def _images(self, base: Path, group: str) -> Iterator[tuple[str, str, "os.DirEntry[str]"]]:
        prefix, tail = f"{group}/" if group else "", self.tail
        with os.scandir(base / group) as entries:
            for entry in entries:
                # Not os.path.splitext: ImageNet has millions of names.
                stem, dot, ending = entry.name.rpartition(".")
                if dot and ending.lower() in ENDINGS and stem.endswith(tail):
                    name = prefix + (stem[: -len(tail)] if tail else stem)
                    if self.names is None or name in self.names:
                        yield name, f"{tail}.{ending}", entry


@dataclass(frozen=True)
class Arrangement(ABC):
    """Say where the files of the data set below `root` lie."""

    root: Path

    @classmethod
    @abstractmethod
    def fits(cls, root: Path) -> bool:
        """Say whether the folders of `root` are arranged like this."""

    @abstractmethod
    def home(self, split: str) -> Path:
        """Return the folder of a split, or of its images."""

    @abstractmethod
    def place(self, split: str, folder: str) -> Place:
        """Return where a modality of a split lies; `folder` is its name, or `pseudo_` and its name."""

    @property
    def own_val(self) -> bool:
        """Say whether there is a validation split beside the test split."""
        return False

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the training split's classes, sorted; none where folders are no classes."""
        return ()


@dataclass(frozen=True)
class ModalityFolders(Arrangement):
    """Read our layout and the reference's: `{train,val,test}/{modality}/{class, or all}/{name}.{ext}`.

    Where there is no `test`, `val` serves, as published splits are often called.
    """

    @classmethod
    def fits(cls, root: Path) -> bool:
        """Say whether there is a split."""
        return any((root / split).is_dir() for split in SPLITS)

    @property
    def own_val(self) -> bool:
        """Say whether there is `val` beside `test`."""
        return (self.root / "val").is_dir() and (self.root / "test").is_dir()

    def home(self, split: str) -> Path:
        """Return the folder of a split."""
        folder = self.root / split
        serves = self.root / "val"
        return serves if split == "test" and not folder.is_dir() and serves.is_dir() else folder

    def place(self, split: str, folder: str) -> Place:
        """Return a modality's folder."""
        return Place(folder=self.home(split) / folder)

    def class_names(self) -> tuple[str, ...]:
        """Return the folders of any modality."""
        home = self.home("train")
        modalities = (home / entry.name for entry in subfolders(home)) if home.is_dir() else ()
        folders = {entry.name for modality in modalities for entry in subfolders(modality)}
        return tuple(sorted(folders - {NO_CLASS}))


@dataclass(frozen=True)
class ClassFolders(ModalityFolders):
    """Read images without a folder for their modality, `{train,val,test}/{class}/{name}.{ext}`, as rgb."""

    @classmethod
    def fits(cls, root: Path) -> bool:
        """Say whether images lie directly below the folders of a split, none of which is a modality's."""
        home = next((root / split for split in SPLITS if (root / split).is_dir()), None)
        if home is None:
            return False
        names = [entry.name for entry in subfolders(home)]
        return not any(map(is_modality, names)) and any(_holds_images(home / name) for name in names)

    def place(self, split: str, folder: str) -> Place:
        """Return the split for rgb; nothing else is there."""
        return Place(folder=self.home(split) if folder == "rgb" else self.home(split) / folder)

    def class_names(self) -> tuple[str, ...]:
        """Return the folders of the split."""
        home = self.home("train")
        return tuple(sorted(entry.name for entry in subfolders(home))) if home.is_dir() else ()


@dataclass(frozen=True)
class SceneParsing(Arrangement):
    """Read ADE20K as published in ADEChallengeData2016: `{images,annotations}/{training,validation}/{name}.{ext}`."""

    @classmethod
    def fits(cls, root: Path) -> bool:
        """Say whether there are images for training."""
        return (root / "images" / "training").is_dir()

    def home(self, split: str) -> Path:
        """Return the folder of the images."""
        return self.root / "images" / ADE_SPLITS.get(split, split)

    def place(self, split: str, folder: str) -> Place:
        """Return the images or their annotations."""
        return Place(folder=self.root / ADE_FOLDERS.get(folder, folder) / ADE_SPLITS.get(split, split))


@dataclass(frozen=True)
class BuildingViews(Arrangement):
    """Read Taskonomy as published: `{domain}/{building}/point_{p}_view_{v}_domain_{domain}.png`.

    Splits are those of `ViewSplits`.
    """

    @classmethod
    def fits(cls, root: Path) -> bool:
        """Say whether a modality's folder has views of a building."""
        if ModalityFolders.fits(root) or not root.is_dir():
            return False
        domains = (root / entry.name for entry in subfolders(root) if is_modality(entry.name))
        buildings = (views_of(domain) / entry.name for domain in domains for entry in subfolders(views_of(domain)))
        return any(VIEW.match(name) for building in buildings for name in _first_names(building))

    @property
    def own_val(self) -> bool:
        """Say whether a building for validation is there."""
        return not self._splits.buildings("val", among=self._buildings).isdisjoint(self._buildings)

    def home(self, split: str) -> Path:
        """Return the root, where all splits lie."""
        return self.root

    def place(self, split: str, folder: str) -> Place:
        """Return a domain's folder."""
        return Place(
            folder=views_of(self.root / folder),
            tail=f"_domain_{domain_in_names(folder)}",
            groups=self._splits.buildings(split, among=self._buildings),
            names=self._splits.listed(split),
        )

    @cached_property
    def _splits(self) -> ViewSplits:
        return ViewSplits(self.root)

    @cached_property
    def _buildings(self) -> frozenset[str]:
        domains = [self.root / entry.name for entry in subfolders(self.root) if is_modality(entry.name)]
        return frozenset(entry.name for domain in domains for entry in subfolders(views_of(domain)))


ARRANGEMENTS: tuple[type[Arrangement], ...] = (SceneParsing, BuildingViews, ClassFolders, ModalityFolders)
"""All that are read, those with the narrowest signs first."""


def arrangement(root: Path) -> Arrangement:
    """Return how the folders of `root` are arranged; ours where nothing is known."""
    return next((kind for kind in ARRANGEMENTS if kind.fits(root)), ModalityFolders)(root)


def is_arranged(root: Path) -> bool:
    """Say whether `root` holds a data set in any arrangement."""
    return any(kind.fits(root) for kind in ARRANGEMENTS)


def is_modality(folder: str) -> bool:
    """Say whether a folder's name is a modality's, measured or predicted."""
    return folder in FOLDERS


def modality_of(folder: str) -> str:
    """Return the modality that a folder holds, measured or predicted (`pseudo_depth`)."""
    return folder.removeprefix(PSEUDO)


def subfolders(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield the folders in a folder."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_dir())


def _holds_images(folder: Path) -> bool:
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in _names(folder))


def _first_names(folder: Path) -> list[str]:
    return list(islice(_names(folder), 1))


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries)


def domain_in_names(folder: str) -> str:
    """Return what files of Taskonomy call their domain; validity is that of the depth."""
    return "depth_zbuffer" if folder == VALIDITY else folder


def views_of(domain: Path) -> Path:
    """Return the folder of the buildings; the downloads of Omnidata have one for Taskonomy in between."""
    return domain / "taskonomy" if (domain / "taskonomy").is_dir() else domain


def _absent(folder: Path) -> str:
    """Say that a folder is not there, and what is in the one above it."""
    above = next(above for above in folder.absolute().parents if above.is_dir())
    names = sorted(_names(above))
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"no folder {folder}; in {above} there is {names[:MOST_SHOWN]}{more}"

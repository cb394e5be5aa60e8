"""How the folders of a data set are arranged: ours, or as published, which is read without copying. Free of torch.

Every arrangement says where the files of a split's modality lie; `layout.py` makes samples of them.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from multimae.data.files import EXACT, PHOTOGRAPHIC, UNREAD, Folder, composed, subfolders
from multimae.data.places import NO_CLASS as NO_CLASS
from multimae.data.places import Place
from multimae.data.taskonomy_splits import SPLITS as SPLITS
from multimae.data.taskonomy_splits import ViewSplits
from multimae.tables.modalities import MODALITIES

VALIDITY = "mask_valid"
PSEUDO = "pseudo_"
PREDICTED = tuple(f"{PSEUDO}{name}" for name in MODALITIES if not name.startswith(PSEUDO))
FOLDERS = tuple(dict.fromkeys((*MODALITIES, VALIDITY, *PREDICTED)))
"""All folders that something of this project reads."""
ADE_SPLITS = MappingProxyType({"train": "training", "test": "validation"})
ADE_FOLDERS = MappingProxyType({"rgb": "images", "semseg": "annotations"})
VIEW = re.compile(r"point_\d+_view_\d+_domain_")


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

    def class_folders(self) -> Mapping[str, Sequence[Place]]:
        """Return the training split's folders of classes, by class; none where folders are no classes."""
        return {}


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
        return Place(folder=self.home(split) / folder, reads=endings_of(folder))

    def class_folders(self) -> Mapping[str, Sequence[Place]]:
        """Return the folders of any modality."""
        home = self.home("train")
        modalities = filter(is_modality, subfolders(home)) if home.is_dir() else ()
        return _by_class(self.place("train", modality) for modality in modalities)


@dataclass(frozen=True)
class ClassFolders(ModalityFolders):
    """Read images without a folder for their modality, `{train,val,test}/{class}/{name}.{ext}`, as rgb."""

    @classmethod
    def fits(cls, root: Path) -> bool:
        """Say whether images lie directly below the folders of a split, none of which is a modality's."""
        home = next((root / split for split in SPLITS if (root / split).is_dir()), None)
        if home is None:
            return False
        names = subfolders(home)
        return not any(map(is_modality, names)) and any(_first_stem(home / name) for name in names)

    def place(self, split: str, folder: str) -> Place:
        """Return the split for rgb; nothing else is there."""
        home = self.home(split)
        return Place(folder=home if folder == "rgb" else home / folder, reads=endings_of(folder))

    def class_folders(self) -> Mapping[str, Sequence[Place]]:
        """Return the folders of the split."""
        return _by_class([self.place("train", "rgb")]) if self.home("train").is_dir() else {}


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
        above = self.root / ADE_FOLDERS.get(folder, folder)
        return Place(folder=above / ADE_SPLITS.get(split, split), reads=endings_of(folder))


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
        domains = (views_of(root / name) for name in subfolders(root) if is_modality(name))
        buildings = (domain / name for domain in domains for name in subfolders(domain))
        return any(VIEW.match(stem) for building in buildings for stem in _first_stem(building))

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
            reads=endings_of(folder),
            tail=f"_domain_{domain_in_names(folder)}",
            groups=self._splits.buildings(split, among=self._buildings),
            names=self._splits.listed(split),
        )

    @cached_property
    def _splits(self) -> ViewSplits:
        return ViewSplits(self.root)

    @cached_property
    def _buildings(self) -> frozenset[str]:
        domains = [views_of(self.root / name) for name in subfolders(self.root) if is_modality(name)]
        return frozenset(name for domain in domains for name in subfolders(domain))


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


def endings_of(folder: str) -> frozenset[str]:
    """Return the endings that are read in the folder of a modality: maps must keep their codes."""
    name = modality_of(folder)
    return PHOTOGRAPHIC if name in MODALITIES and MODALITIES[name].kind == "image" else EXACT


def _by_class(places: Iterable[Place]) -> Mapping[str, Sequence[Place]]:
    found: dict[str, list[Place]] = {}
    for place in places:
        for name in subfolders(place.folder):
            if name != NO_CLASS:
                found.setdefault(composed(name), []).append(replace(place, folder=place.folder / name))
    return {name: found[name] for name in sorted(found)}


def _first_stem(folder: Path) -> list[str]:
    files = Folder(path=folder, reads=PHOTOGRAPHIC | UNREAD).files()
    return [stem for stem, _ in islice(files, 1)]


def domain_in_names(folder: str) -> str:
    """Return what files of Taskonomy call their domain; validity is that of the depth."""
    return "depth_zbuffer" if folder == VALIDITY else folder


def views_of(domain: Path) -> Path:
    """Return the folder of the buildings; the downloads of Omnidata have one for Taskonomy in between."""
    return domain / "taskonomy" if (domain / "taskonomy").is_dir() else domain

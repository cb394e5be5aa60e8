"""Which files and folders of a data set count, and why the others do not. Free of torch and Pillow.

Every reader asks here: training, checks, packing, preparations, labelling. What counts follows from names alone, so
that a data set has the same samples on every machine, whatever is installed there.
"""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Literal

from multimae.data.sample import DataError

EXACT = frozenset({"png", "tif", "tiff", "bmp"})
"""Endings of formats that keep every code of a map."""
PHOTOGRAPHIC = EXACT | {"jpg", "jpeg", "jpe", "jfif", "webp", "gif", "avif"}
"""Endings of formats that show an image as it was, though not to the last code, or with a palette of its writer."""
UNREAD = frozenset(
    {
        *("heic", "heif", "jxl", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "apng", "tga", "dds", "psd", "ico", "icns"),
        *("ppm", "pgm", "pbm", "pnm", "pfm", "pcx", "sgi", "qoi", "svg", "eps", "exr", "hdr"),
        *("dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf"),
        *("npy", "npz", "mat", "h5", "hdf5"),
    }
)
"""Endings of images, and of arrays that hold maps, which nothing here reads."""
OF_TOOLS = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information"),
        *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "lost+found", "__macosx", "__pycache__"),
    }
)
"""What Windows, macOS, network drives and file systems put into any folder, beside hidden files."""
OWN = frozenset({"manifest.json", "manifest.jsonl", "labels.csv"})
"""What this project writes beside images."""
MOST_NAMED = 5

Reason = Literal["hidden", "of_tools", "no_image", "no_images_in", "doubled", "misnamed", "unread", "inexact"]
LostReason = Literal["deeper", "beside"]


@dataclass(frozen=True, kw_only=True)
class Why:
    """Say why something does not count and, where images would be lost by that, what to do about it."""

    said: str
    remedy: str = ""


REASONS: Mapping[Reason | LostReason, Why] = MappingProxyType(
    {
        "hidden": Why(said="hidden, its name begins with a dot"),
        "of_tools": Why(said="made by an operating system or a tool"),
        "no_image": Why(said="no image, by its suffix"),
        "no_images_in": Why(said="a folder without images"),
        "doubled": Why(said="in a format that is not read, beside a file of the same name that is"),
        "misnamed": Why(said="not named as the images of this folder are"),
        "unread": Why(
            said="images in a format that is not read",
            remedy=f"convert them to .png (maps: {', '.join(sorted(EXACT))}; photographs also "
            f"{', '.join(sorted(PHOTOGRAPHIC - EXACT))}), or move them away",
        ),
        "inexact": Why(
            said="maps in a format that changes their codes",
            remedy="write them as .png again, from where they came from: the codes in these files are lost",
        ),
        "deeper": Why(
            said="folders of images below the folders that are read",
            remedy="images lie in the modality's folder, or in one folder for each class: move them there, or away",
        ),
        "beside": Why(
            said="images beside folders of images",
            remedy="put all images into folders of classes, or none, or move those away that are not meant",
        ),
    }
)
"""Why entries do not count; those with a remedy are images, on whose absence nothing may train without a word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Name entries that do not count for one reason; `group` is the folder below the modality's, such as a class's."""

    group: str
    reason: Reason | LostReason
    names: tuple[str, ...]

    @property
    def loses_images(self) -> bool:
        return bool(REASONS[self.reason].remedy)

    def __str__(self) -> str:
        named = ", ".join(shown(name) for name in self.names[:MOST_NAMED])
        more = ", ..." if len(self.names) > MOST_NAMED else ""
        return f"{len(self.names)} {REASONS[self.reason].said}: {named}{more}"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Sort what lies in a folder: `files` yields what counts; when it is through, the rest is in the other fields."""

    path: Path
    reads: frozenset[str]
    folders: list[str] = field(default_factory=list)
    left_out: dict[Reason, list[str]] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the stem and the ending of every file that counts."""
        reads = self.reads
        with os.scandir(self.path) as entries:
            for entry in entries:
                # The rule for the many, once more: ImageNet has millions of names.
                stem, _, ending = entry.name.rpartition(".")
                if stem and stem[0] != "." and (ending in reads or ending.lower() in reads):
                    yield stem, ending
                else:
                    self._leave_out(entry)

    def _leave_out(self, entry: "os.DirEntry[str]") -> None:
        reason = why_not(entry.name, reads=self.reads)
        if entry.is_dir():
            reason = why_no_folder(entry.name)
            if reason is None:
                self.folders.append(entry.name)
        if reason is not None and entry.name not in OWN:
            self.left_out.setdefault(reason, []).append(entry.name)


def why_not(name: str, *, reads: frozenset[str]) -> Reason | None:
    """Say why a file does not count, by its name; None where it does."""
    stem, _, ending = name.rpartition(".")
    if (reason := why_no_folder(name)) is not None:
        return reason
    ending = ending.lower() if stem else ""
    if ending in reads:
        return None
    if ending in PHOTOGRAPHIC:
        return "inexact"
    return "unread" if ending in UNREAD else "no_image"


def why_no_folder(name: str) -> Reason | None:
    """Say why a folder of this name does not count; None where it does."""
    if name.startswith("."):
        return "hidden"
    return "of_tools" if name.lower() in OF_TOOLS else None


def why_not_in(path: str, *, reads: frozenset[str]) -> Reason | None:
    """Say why a file in an archive does not count, by its own name and those of the folders above it."""
    *above, name = PurePath(path).parts
    folders = (why_no_folder(folder) for folder in above if folder != "..")
    return next((reason for reason in folders if reason), None) or why_not(name, reads=reads)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder that count, sorted."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if why_no_folder(entry.name) is None and entry.is_dir())


def holds_images(folder: Path, *, reads: frozenset[str] = PHOTOGRAPHIC | UNREAD) -> bool:
    """Say whether an image, by default of any format, lies in a folder or below it."""
    found = Folder(path=folder, reads=reads)
    return any(True for _ in found.files()) or any(holds_images(folder / name, reads=reads) for name in found.folders)


def images_in(folder: Path, *, reads: frozenset[str]) -> list[Path]:
    """Return the images right in a folder, sorted; none where there is no folder."""
    found = Folder(path=folder, reads=reads).files() if folder.is_dir() else ()
    return sorted(folder / f"{stem}.{ending}" for stem, ending in found)


def images_below(folder: Path, *, reads: frozenset[str]) -> tuple[list[str], list[LeftOut]]:
    """Return the paths of all images below a folder, relative to it and sorted, and what was left out."""
    images, left_out = list[str](), list[LeftOut]()
    waiting = [""]
    while waiting:
        group = waiting.pop()
        found, prefix = Folder(path=folder / group, reads=reads), f"{group}/" if group else ""
        here = [f"{stem}.{ending}" for stem, ending in found.files()]
        images += (prefix + name for name in here)
        stems = {name.rpartition(".")[0] for name in here}
        left_out += by_reason(found.left_out, group=group, is_read=stems.__contains__)
        waiting += (prefix + name for name in found.folders)
    return sorted(images), sorted(left_out, key=lambda entry: (entry.group, entry.reason))


def by_reason(
    left_out: Mapping[Reason, Iterable[str]], *, group: str, is_read: Callable[[str], bool] = lambda stem: False
) -> Iterator[LeftOut]:
    """Yield what a folder leaves out; an image is not lost where a file of the same stem `is_read`."""
    sorted_out: dict[Reason, list[str]] = {}
    for reason, names in left_out.items():
        for name in names:
            doubled = REASONS[reason].remedy and is_read(name.rpartition(".")[0])
            sorted_out.setdefault("doubled" if doubled else reason, []).append(name)
    for reason, names in sorted_out.items():
        yield LeftOut(group=group, reason=reason, names=tuple(sorted(names)))


def composed(name: str) -> str:
    """Return a name as it is compared: letters and their accents in one (Unicode NFC), however a system spells them."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """Return a name so that two that look alike can be told apart."""
    return name if composed(name) == name and name.isprintable() else ascii(name)


def refuse_lost(left_out: Iterable[LeftOut], *, where: Path) -> None:
    """Raise DataError where images are left out: a number that comes from a part of the images is a wrong one."""
    lost = [entry for entry in left_out if entry.loses_images]
    if not lost:
        return
    said = [f"{where / entry.group} has {entry}; {REASONS[entry.reason].remedy}" for entry in lost[:MOST_NAMED]]
    if len(lost) > MOST_NAMED:
        said.append(f"and so on in {len(lost) - MOST_NAMED} more places")
    raise DataError(". ".join(said))

"""Where one modality of a split lies, and which samples its files are. Free of torch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multimae.data.files import (
    PHOTOGRAPHIC,
    UNREAD,
    Folder,
    LeftOut,
    LostReason,
    Reason,
    by_reason,
    composed,
    holds_images,
    shown,
)
from multimae.data.sample import DataError, DataNotFoundError

NO_CLASS = "all"
MOST_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class PlacedFiles:
    """Hold what lies in a place: the suffix of each sample's file, with the tail, and what was left out.

    `spellings` names the files, without the suffix, whose system spells the sample's name in other characters. `groups`
    are the folders of classes that hold images which are read.
    """

    suffixes: Mapping[str, str]
    spellings: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    groups: frozenset[str]

    def path(self, name: str) -> str:
        """Return where a sample's file lies below the place's `base`."""
        return f"{self.spellings.get(name, name)}{self.suffixes[name]}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Say where one modality of one split lies: in `folder`, in its only subfolder `all`, or in one for each group.

    `reads` are the endings of files that are read, `tail` is what stands between the names and the suffixes. `groups`
    and `names` are those that belong to the split; None is all of them.
    """

    folder: Path
    reads: frozenset[str] = PHOTOGRAPHIC
    tail: str = ""
    groups: Collection[str] | None = None
    names: Collection[str] | None = None

    @property
    def base(self) -> Path:
        """The folder that names are relative to: a subfolder `all` is left out of them."""
        return self.folder / NO_CLASS if (self.folder / NO_CLASS).is_dir() else self.folder

    def files(self) -> PlacedFiles:
        """List the files that are samples; raise DataError where two are one sample."""
        if not self.folder.is_dir():
            raise DataNotFoundError(_absent(self.folder))
        listing = _Listing(place=self, base=self.base)
        if listing.base != self.folder:
            listing.leave_out_beside_all()
        groups = listing.add("")
        if listing.base == self.folder:
            listing.add_groups(groups)
        else:
            listing.leave_out_below("", groups)
        return listing.placed


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """Collect what lies in a place."""

    place: Place
    base: Path
    suffixes: dict[str, str] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)

    @property
    def placed(self) -> PlacedFiles:
        """What was collected so far."""
        return PlacedFiles(
            suffixes=self.suffixes,
            spellings=self.spellings,
            left_out=tuple(self.left_out),
            groups=frozenset(self.groups),
        )

    def add(self, group: str) -> list[str]:
        """Add the files right in a folder and return the folders in it."""
        place, suffixes = self.place, self.suffixes
        prefix, tail, wanted = f"{group}/" if group else "", place.tail, place.names
        folder = Folder(path=self.base / group, reads=place.reads)
        for stem, ending in folder.files():
            if tail and not stem.endswith(tail):
                folder.left_out.setdefault("misnamed", []).append(f"{stem}.{ending}")
                continue
            name, suffix = prefix + (stem[: -len(tail)] if tail else stem), f"{tail}.{ending}"
            if not name.isascii():
                name = self._composed(name, suffix)
            if wanted is None or name in wanted:
                other = suffixes.setdefault(name, suffix)
                if other is not suffix:
                    self._refuse_second(name, suffix, other)
        if folder.left_out:
            is_read: Callable[[str], bool] = lambda stem: composed(prefix + stem.removesuffix(tail)) in suffixes  # noqa: E731
            self.left_out.extend(by_reason(folder.left_out, group=self._within(group), is_read=is_read))
        return sorted(folder.folders)

    def add_groups(self, folders: Sequence[str]) -> None:
        """Add the files of the folders that stand for classes, or for buildings."""
        flat, wanted = list(self.suffixes), self.place.groups
        groups = [group for group in folders if wanted is None or group in wanted]
        self._refuse_two_spellings(groups)
        for group in groups:
            num_files, num_left_out = len(self.suffixes), len(self.left_out)
            self.leave_out_below(group, self.add(group))
            if len(self.suffixes) > num_files:
                self.groups.add(composed(group))
            elif not any(entry.loses_images for entry in self.left_out[num_left_out:]):
                self.left_out.append(LeftOut(group="", reason="no_images_in", names=(group,)))
        if flat and len(self.suffixes) > len(flat):
            names = tuple(sorted(map(self.placed.path, flat)))
            self.left_out.append(LeftOut(group="", reason="beside", names=names))

    def leave_out_below(self, group: str, folders: Sequence[str]) -> None:
        """Leave out folders that lie deeper than is read."""
        for name in folders:
            reason: LostReason | Reason = "deeper" if holds_images(self.base / group / name) else "no_images_in"
            self.left_out.append(LeftOut(group=self._within(group), reason=reason, names=(name,)))

    def leave_out_beside_all(self) -> None:
        """Leave out what lies beside the folder `all`, which is read alone."""
        folder = Folder(path=self.place.folder, reads=self.place.reads | PHOTOGRAPHIC | UNREAD)
        flat = [f"{stem}.{ending}" for stem, ending in folder.files()]
        self.left_out.extend(by_reason(folder.left_out, group=""))
        others = [name for name in folder.folders if name != NO_CLASS]
        filled = [name for name in others if holds_images(self.place.folder / name)]
        if flat or filled:
            self.left_out.append(LeftOut(group="", reason="beside", names=tuple(sorted([*flat, *filled]))))
        if empty := sorted({*others} - {*filled}):
            self.left_out.append(LeftOut(group="", reason="no_images_in", names=tuple(empty)))

    def _within(self, group: str) -> str:
        """Return a group's path below the place's folder."""
        return group if self.base == self.place.folder else NO_CLASS

    def _composed(self, spelled: str, suffix: str) -> str:
        """Return a sample's name, and keep how its file spells it."""
        name = composed(spelled)
        if name in self.suffixes and self.spellings.get(name, name) != spelled:
            two = " and ".join(shown(path) for path in (self.placed.path(name), f"{spelled}{suffix}"))
            raise DataError(
                f"{two} in {self.base} are one name in two spellings (Unicode NFC and NFD): two files for one sample; "
                "remove one"
            )
        if name != spelled:
            self.spellings[name] = spelled
        return name

    def _refuse_second(self, name: str, suffix: str, other: str) -> None:
        if other != suffix:
            first, second = self.base / self.placed.path(name), f"{name.rpartition('/')[2]}{suffix}"
            raise DataError(f"{first} and {second} are two files for one sample; remove one")

    def _refuse_two_spellings(self, groups: Sequence[str]) -> None:
        by_name: dict[str, str] = {}
        for group in groups:
            if (other := by_name.setdefault(composed(group), group)) != group:
                raise DataError(
                    f"{shown(other)} and {shown(group)} in {self.base} are one name in two spellings (Unicode NFC and "
                    "NFD), so two folders for one class; put their files into one"
                )


def _absent(folder: Path) -> str:
    """Say that a folder is not there, and what is in the one above it."""
    above = next(above for above in folder.absolute().parents if above.is_dir())
    names = sorted(entry.name for entry in above.iterdir())
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"no folder {folder}; in {above} there is {names[:MOST_SHOWN]}{more}"

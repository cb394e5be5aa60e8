"""A source of published files that are kept as they are: only their names and folders change."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimae.data.manifest import Provenance
from multimae.data.sample import DataError
from multimae.prepare.archives import Contents, Member, take_out
from multimae.prepare.conversion import Item, bytes_to_place

FILES_PER_ITEM = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Files(Item):
    """Neighbours in a folder or an archive, `source`: `members` become `outputs`, one each.

    `head` is where the first one's head starts in a tar. With `damage` there is nothing to take out, only to say.
    """

    source: Path
    members: tuple[str, ...] = ()
    head: int = 0
    damage: str = ""


@dataclass(frozen=True, kw_only=True)
class Unpacking:
    """Take listed files out of where they are."""

    about: Provenance
    listed: Sequence[Item]

    def provenance(self) -> Provenance:
        """Say where the files come from."""
        return self.about

    def items(self) -> Sequence[Item]:
        """List all items."""
        return self.listed

    def convert(self, item: Item, out: Path) -> None:
        """Link or write the files of an item."""
        assert isinstance(item, Files)
        if item.damage:
            raise DataError(item.damage)
        targets = {member: out / output for member, output in zip(item.members, item.outputs, strict=True)}
        take_out(item.source, targets, head=item.head)

    def __getstate__(self) -> dict[str, Any]:
        # Workers are handed their items; a list of all, a million perhaps, would be copied to each of them.
        return {}


def files(found: Contents, *, output: Callable[[Member], str | None], out: Path) -> Iterator[Files]:
    """Yield items for the files that become an output, and one for what cannot be read, which never becomes any."""
    kept = [(member, name) for member in found.members if (name := output(member)) is not None]
    linked = found.source.is_dir() and (not kept or bytes_to_place(found.source / kept[0][0].path, out=out) == 0)
    for start in range(0, len(kept), FILES_PER_ITEM):
        group = kept[start : start + FILES_PER_ITEM]
        outputs = tuple(name for _, name in group)
        yield Files(
            name=outputs[0] if len(outputs) == 1 else f"{outputs[0]} and the next {len(outputs) - 1}",
            outputs=outputs,
            bytes_estimate=0 if linked else sum(_num_bytes(found.source, member) for member, _ in group),
            source=found.source,
            members=tuple(member.path for member, _ in group),
            head=group[0][0].head,
        )
    if found.damage:
        never = f".unread-{found.name.replace('/', '-')}"
        yield Files(name=found.name, outputs=(never,), bytes_estimate=0, source=found.source, damage=found.damage)


def _num_bytes(source: Path, member: Member) -> int:
    return (source / member.path).stat().st_size if source.is_dir() else member.num_bytes

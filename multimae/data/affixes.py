"""Names that would pair but for what stands around them: `frame-000000.color` and `frame-000000.depth`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

AT_LEAST = 2
"""One name alone does not show what all of a modality's names have in common."""
_HEAD = re.compile(r".*[\W_]|[^\W\d_]+(?=\d|$)")
_TAIL = re.compile(r"[\W_].*")


@dataclass(frozen=True, kw_only=True)
class Affixes:
    """Say what the names of a modality begin and end with; `example` is one of them."""

    head: str
    tail: str
    example: str

    def core(self, name: str) -> str:
        """Return a name without head and tail."""
        return name[len(self.head) : len(name) - len(self.tail)]


@dataclass(frozen=True, kw_only=True)
class DifferingAffixes:
    """Hold, by modality, the affixes on which alone names differ; its text says so and what to do."""

    by_modality: Mapping[str, Affixes]

    def __str__(self) -> str:
        found = self.by_modality.values()
        same_head, same_tail = (len({getattr(one, affix) for one in found}) == 1 for affix in ("head", "tail"))
        said = []
        for modality, one in self.by_modality.items():
            head = "" if same_head else f" begin with {one.head!r}"
            tail = "" if same_tail else f" end with {one.tail!r}"
            said.append(f"{modality}'s{' and'.join(part for part in (head, tail) if part)} ({one.example})")
        return f"Names differ only in what stands around them: {', '.join(said)}. Rename the files: one name a sample"


def differing_affixes(names: Mapping[str, Collection[str]]) -> DifferingAffixes | None:
    """Return the affixes of the first modality and of those whose names would be its own but for them."""
    (first, ours), *others = names.items()
    found = {modality: pair for modality, theirs in others if (pair := _pair(ours, theirs)) is not None}
    if not found:
        return None
    (own, _), *_ = found.values()
    return DifferingAffixes(by_modality={first: own, **{modality: other for modality, (_, other) in found.items()}})


def _pair(ours: Collection[str], theirs: Collection[str]) -> tuple[Affixes, Affixes] | None:
    """Return the affixes of both if most names would pair without them, and none does with them."""
    if min(len(ours), len(theirs)) < AT_LEAST or not {*ours}.isdisjoint(theirs):
        return None
    own, other = _affixes(ours), _affixes(theirs)
    cores, other_cores = {own.core(name) for name in ours}, {other.core(name) for name in theirs}
    return (own, other) if 2 * len(cores & other_cores) > max(len(cores), len(other_cores)) else None


def _affixes(names: Collection[str]) -> Affixes:
    head = _HEAD.match(_beginning(names))
    tail = _TAIL.search(_beginning([name[::-1] for name in names])[::-1])
    return Affixes(head=head[0] if head else "", tail=tail[0] if tail else "", example=min(names))


def _beginning(names: Collection[str]) -> str:
    """Return what all names begin with: what the first and the last in order do."""
    first, last = min(names), max(names)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)

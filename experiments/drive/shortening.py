"""Names of runs where there is little room: what all of them share goes first, and they stay apart."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

_DIGEST = re.compile(r"-[0-9a-f]{8}$")


def shortened(names: Sequence[str], *, width: int) -> list[str]:
    """Return the names, in their order, each of at most `width` characters and as different as they were.

    Without need nothing is left out. Then go the digest, what all names begin with, and the middle of those that are
    still too long.
    """
    short = list(names)
    for step in (_without_digest, _without_beginning, lambda some: _without_middle(some, width=width)):
        if all(len(name) <= width for name in short):
            return short
        short = _if_apart(step, short)
    return [name if len(name) <= width else _cut(name, width=width, tail=width // 2) for name in short]


def _if_apart(step: Callable[[Sequence[str]], list[str]], names: list[str]) -> list[str]:
    """Take a step unless it would make two names one."""
    after = step(names)
    return after if len(set(after)) == len(set(names)) else names


def _without_digest(names: Sequence[str]) -> list[str]:
    return [_DIGEST.sub("", name) for name in names]


def _without_beginning(names: Sequence[str]) -> list[str]:
    """Leave out the words that all names begin with; a name is never left without any."""
    words = [name.split("-") for name in names]
    columns = zip(*(some[:-1] for some in words), strict=False)
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, columns)))
    return ["-".join(["…", *some[shared:]]) for some in words] if shared and len(names) > 1 else list(names)


def _without_middle(names: Sequence[str], *, width: int) -> list[str]:
    """Cut out the middle, where that leaves the names apart."""
    found: list[str] = []
    for tail in sorted(range(width), key=lambda tail: abs(tail - width // 2)):
        found = [name if len(name) <= width else _cut(name, width=width, tail=tail) for name in names]
        if len(set(found)) == len(set(names)):
            break
    return found


def _cut(name: str, *, width: int, tail: int) -> str:
    head = max(0, width - tail - 1)
    return f"{name[:head]}…{name[len(name) - tail :]}"[:width]

"""Which names belong to a part of a split: held out, a share of the training samples. Free of torch.

Every choice follows from the names alone, so that it is the same everywhere. Names are ranked by their hashes and a
number of them is taken: few new files move few names from one part to another.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from typing import Literal


def split_names(names: Iterable[str], *, val_ratio: float, part: Literal["train", "val"]) -> tuple[str, ...]:
    """Hold out those `num_held_out` of the names that come first in `name_order`."""
    everything = tuple(names)
    number = num_held_out(len(everything), val_ratio=val_ratio)
    held_out = set(sorted(everything, key=name_order)[:number])
    return tuple(name for name in everything if (name in held_out) == (part == "val"))


def num_held_out(num_names: int, *, val_ratio: float) -> int:
    """Return how many of so many names are held out: their share, but at least one, and never all."""
    if not 0 <= val_ratio < 1:
        raise ValueError(f"val_ratio is {val_ratio}, wanted a share in [0, 1)")
    if val_ratio == 0:
        return 0
    return min(max(1, round(val_ratio * num_names)), max(0, num_names - 1))


def few_of(names: Sequence[str], *, ratio: float, seed: int, groups: Mapping[str, str] | None) -> tuple[str, ...]:
    """Keep a share of the names, at least one; of every group (class) alike where there are `groups`.

    For one seed a smaller share is part of a larger one, whatever else is trained.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"train_ratio is {ratio}, wanted a share in (0, 1]")
    if ratio == 1:
        return tuple(names)
    by_group: dict[str, list[str]] = {}
    for name in names:
        by_group.setdefault((groups or {}).get(name, ""), []).append(name)
    kept = set()
    for members in by_group.values():
        ordered = sorted(members, key=lambda name: name_order(f"{seed}:{name}"))
        kept |= set(ordered[: num_of_few(len(members), ratio=ratio)])
    return tuple(name for name in names if name in kept)


def num_of_few(num_names: int, *, ratio: float) -> int:
    """Return how many of so many names a share is: at least one, if there are any."""
    return min(num_names, max(1, round(ratio * num_names)))


def spread_over(names: Sequence[str], *, limit: int | None) -> tuple[str, ...]:
    """Keep `limit` names, spread over all of them, sorted; None keeps all."""
    if limit is None:
        return tuple(names)
    if limit < 1:
        raise ValueError(f"limit is {limit}, wanted None or at least 1")
    return tuple(sorted(sorted(names, key=name_order)[:limit]))


def name_order(name: str) -> float:
    """Map a name to [0, 1), evenly and for ever: a shuffle that needs no seed and survives new files."""
    return int.from_bytes(sha1(name.encode(errors="surrogateescape")).digest()[:8]) / 2**64

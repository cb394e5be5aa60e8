"""What was loaded from a checkpoint, in lines that a person reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from multimae.checkpoints.names import BACKBONE

MAX_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Name the parameters that were loaded, the model's that were not, the file's that were not, and the resized.

    `said`: which of a file's weights these are, and what was changed so that they compute the same here.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    resized: tuple[str, ...]
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = (
            f"loaded {len(self.loaded)} parameters, {len(self.resized)} of them resized; {len(self.missing)} of the "
            f"model's stay fresh, {len(self.unexpected)} of the file's are not used"
        )
        named = {"loaded": self.loaded, "resized": self.resized, "fresh": self.missing, "not used": self.unexpected}
        lists = [f"  {kind}: {abbreviated(names)}" for kind, names in named.items() if names]
        return "\n".join([counts, *(f"  {line}" for line in self.said), *lists])


def abbreviated(names: Sequence[str]) -> str:
    """Count names by the part of the model they belong to; a part with one name is named whole."""
    parts: dict[str, list[str]] = {}
    for name in names:
        part = re.match(rf"(?:{BACKBONE})?(?:(?:input|output)_adapters\.)?[^.]+", name)
        parts.setdefault(part[0] if part else name, []).append(name)
    shown = [_summary(part, of_part) for part, of_part in parts.items()]
    more = [f"and {len(shown) - MAX_SHOWN} more"] if len(shown) > MAX_SHOWN else []
    return ", ".join([*shown[:MAX_SHOWN], *more])


def _summary(part: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    numbers = {name.removeprefix(f"{part}.").split(".")[0] for name in names if part.endswith("encoder")}
    blocks = sorted(int(number) for number in numbers if number.isdigit())
    span = f".{{{blocks[0]}..{blocks[-1]}}}" if len(blocks) > 1 else f".{blocks[0]}" if blocks else ""
    return f"{part}{span}.* ({len(names)})"

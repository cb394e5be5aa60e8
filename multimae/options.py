"""Types of options on a command line: what they take, and the words for what they refuse. Standard library only."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from math import isfinite


def whole(low: int, *, up_to: int | None = None) -> Callable[[str], int]:
    """Return the type of a whole number from `low`, and up to another if there is one."""
    wanted = f"wanted a whole number from {low}" + (f" to {up_to}" if up_to is not None else "")

    def read(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < low or (up_to is not None and int(text) > up_to):
            raise ArgumentTypeError(f"{text!r}, {wanted}")
        return int(text)

    return read


def number(*, above: float, up_to: float) -> Callable[[str], float]:
    """Return the type of a number above one and up to another."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (isfinite(value) and above < value <= up_to):
            raise ArgumentTypeError(f"{text!r}, wanted a number above {above:g} and up to {up_to:g}")
        return value

    return read


def names(text: str) -> tuple[str, ...]:
    """Read different names with commas between them."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found) or len(set(found)) != len(found):
        raise ArgumentTypeError(f"{text!r}, wanted different names with commas between them")
    return found


def seeds(text: str) -> tuple[int, ...]:
    """Read different whole numbers from 0 with commas between them."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(map(int, parts))) != len(parts):
        raise ArgumentTypeError(
            f"{text!r}, wanted different whole numbers from 0 with commas between them, as in 0,1,2"
        )
    return tuple(int(part) for part in parts)

"""Errors a user can correct, each with its documented exit code, and the words that point to the nearest right name."""

from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(Exception):
    """The command or a setting is wrong: exit code 2."""

    exit_code = 2


class PreconditionError(Exception):
    """The machine or the data is not as needed: exit code 3."""

    exit_code = 3


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not among the known ones, nearest first."""
    names = list(known)
    matches = get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(matches)}?" if matches else "nothing is near it"
    return UsageError(f"no {what} {name!r}; {hint} (known: {', '.join(names)})")

"""Errors that a user can correct, each with its documented exit code."""

from collections.abc import Iterable

from multimae.record import nearest


class UsageError(Exception):
    """The command or a setting is wrong: exit code 2."""

    exit_code = 2


class PreconditionError(Exception):
    """The machine or the data is not as needed: exit code 3."""

    exit_code = 3


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not among the known ones."""
    return UsageError(nearest.unknown(what, name, known))

"""Why a training ended: every ending has a kind, an exit code and a message a user can act on. Free of torch."""

import errno
from collections.abc import Mapping
from types import MappingProxyType

from multimae.record.endings import ExitKind, kind_said_by
from multimae.record.lease import SupersededError

_ERRNO: Mapping[int, ExitKind] = MappingProxyType(
    {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.ENOMEM: "host_oom"}
)


class DivergedError(RuntimeError):
    """The loss is no number any more."""


class PreemptedError(RuntimeError):
    """The job was asked to stop and has saved its state."""


class PausedError(RuntimeError):
    """The training has come as far as its search lets it and has saved its state."""

    def __init__(self, step: int) -> None:
        super().__init__(f"waits at step {step} for the search's word")


class SettingsError(ValueError):
    """The run's settings cannot be carried out."""


def kind_of(error: BaseException) -> ExitKind:
    """Name the kind of failure an exception stands for, looking through the exceptions that caused it."""
    for link in _chain(error):
        kind = _kind_of_one(link)
        if kind != "error":
            return kind
    return "error"


def _kind_of_one(error: BaseException) -> ExitKind:
    by_type: tuple[tuple[type[BaseException], ExitKind], ...] = (
        (DivergedError, "nan"),
        (PreemptedError, "preempted"),
        (PausedError, "paused"),
        (SupersededError, "superseded"),
        (SettingsError, "config"),
        (MemoryError, "host_oom"),
    )
    for known, kind in by_type:
        if isinstance(error, known):
            return kind
    # Names, not classes: this module is imported before torch and the data code are.
    name = type(error).__name__
    if name == "OutOfMemoryError":
        return "gpu_oom"
    if name in ("DataError", "DataNotFoundError"):
        return "data"
    by_number = _ERRNO.get(error.errno or 0) if isinstance(error, OSError) else None
    return by_number or kind_said_by(str(error)) or "error"


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links

"""Processes of this machine, told apart even when a process id is used again."""

import os
import socket
from dataclasses import dataclass
from typing import Self

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process on one machine; written `<pid>.<start>@<host>`, where only equality of `start` means something."""

    pid: int
    start: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Identify a child process that has not been waited for."""
        return cls(pid=pid, start=_start(pid) or "0", host=socket.gethostname())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        process, _, host = text.partition("@")
        pid, _, start = process.partition(".")
        return cls(pid=int(pid), start=start, host=host)

    def __str__(self) -> str:
        return f"{self.pid}.{self.start}@{self.host}"

    @property
    def known_here(self) -> bool:
        """Whether it can be looked at from here: it is on this machine, and its start is written in our way."""
        return self.host == socket.gethostname() and self.start.isdigit()

    def alive(self) -> bool:
        """Say whether it still runs; a zombie does not. For a process that is not known here the answer is no."""
        return self.known_here and _start(self.pid) == self.start


def _start(pid: int) -> str | None:
    """Return when a process started, in clock ticks; None when it has ended.

    On Linux `create_time` adds the moment of booting, which moves when somebody sets the clock: a job that runs would
    look like another process, and its run would be started twice. Without that moment the number never changes.
    """
    while True:
        booted = _booted()
        try:
            process = psutil.Process(pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            created = process.create_time()
        except psutil.NoSuchProcess:
            return None
        if booted == _booted():  # else the clock was set just now, and `created` may hold either moment
            return str(round((created - booted) * _TICKS_PER_S))


def _booted() -> float:
    return psutil.boot_time() if psutil.LINUX else 0.0

"""A file's lock, which the system takes back when its process ends, however that happens."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from multimae.record.files import read_json


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file unless another process has it; say whether this one has it now. Closing it gives it back."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(file: IO[Any]) -> None:
    """Lock an open file, once no other process has it."""
    fcntl.flock(file, fcntl.LOCK_EX)


class FileLock:
    """The lock of one file, for one process of those that share its file system.

    The file stays where it is: removing it would let two processes hold locks of two files of one name.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a")
        self._signed = False

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_take(self) -> bool:
        """Take the lock unless another process has it; say whether this one has it now."""
        return try_lock(self._file)

    def take(self) -> None:
        """Take the lock, once no other process has it."""
        lock(self._file)

    def sign(self) -> None:
        """Write into the file who has the lock, for those that wait for it."""
        self._signed = True
        said = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        self._file.truncate(0)
        self._file.write(json.dumps(said))
        self._file.flush()

    @property
    def holder(self) -> str:
        """Who has signed the lock, in words."""
        said = read_json(self.path)
        if not said:
            return "another process"
        since = time.strftime("%d %B %H:%M", time.localtime(said["since"]))
        return f"process {said['pid']} on {said['host']}, since {since},"

    def close(self) -> None:
        """Give the lock back, so that a successor of this process finds it free."""
        if self._signed and not self._file.closed:
            self._file.truncate(0)
        self._file.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for it if need be."""
    with FileLock(path) as held:
        held.take()
        yield

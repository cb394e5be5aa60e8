"""A file's lock, which the system takes back when its process ends, however that happens."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


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

    def close(self) -> None:
        """Give the lock back, so that a successor of this process finds it free."""
        self._file.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for it if need be."""
    with FileLock(path) as held:
        held.take()
        yield

"""What all commands have in common: what a user can repair is one line on stderr and an exit code, no traceback.

Standard library and `multimae.record` only.
"""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

from multimae.record.text import tell

P = ParamSpec("P")
SIGPIPE_CODE = 141
"""What a shell says of a program whose reader has gone, as in `... | head`: 128 and the number of SIGPIPE."""
ENVIRONMENT, INTERRUPTED = 3, 130
_FULL = (errno.ENOSPC, errno.EDQUOT)


def enter(main: Callable[[], int], *, name: str) -> int:
    """Run a command as a process's own and return its exit code; a reader that has gone ends it without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode shows what it cannot print
    try:
        return explained(name)(_flushed(main))()
    except BrokenPipeError:
        # Python flushes once more as it ends: into nothing, or that fails as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGPIPE_CODE
    except KeyboardInterrupt:
        return INTERRUPTED


def _flushed(main: Callable[[], int]) -> Callable[[], int]:
    def flushing() -> int:
        code = main()
        sys.stdout.flush()
        return code

    return flushing


def explained(prog: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Let a command say in one line what the system has refused it: a full disk, a folder that is not its own."""

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def explaining(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except OSError as error:
                if error.errno is None or isinstance(error, ConnectionError):
                    raise  # of a library, which means something else by it, or of a reader that has gone
                tell(f"{prog}: {in_words(error)}", stream="err")
                return ENVIRONMENT

        return explaining

    return decorate


def in_words(error: OSError) -> str:
    """Return `/data: Permission denied`, what the system has refused and why."""
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    advice = "; free some and give the same command again" if error.errno in _FULL else ""
    return ": ".join((*named[:1], error.strerror or str(error))) + advice

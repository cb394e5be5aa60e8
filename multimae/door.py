"""What every command does at its outermost layer, whatever it is about."""

import errno
import os
import sys
from collections.abc import Callable

from multimae.record.text import tell

SIGPIPE_CODE = 141
"""What a shell says of a program whose reader has gone, as in `... | head`: 128 and the number of SIGPIPE."""
ENVIRONMENT, INTERRUPTED = 3, 130
_FULL = (errno.ENOSPC, errno.EDQUOT)


def enter(main: Callable[[], int], *, name: str) -> int:
    """Run a command and return its exit code; a reader that has gone and a full disk end it without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode shows what it cannot print
    try:
        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes once more as it ends: into nothing, or that fails as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGPIPE_CODE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        place = f"{error.filename}: " if error.filename else ""
        tell(f"{name}: {place}{os.strerror(error.errno)}; free some and give the same command again", stream="err")
        return ENVIRONMENT

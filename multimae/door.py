"""What all commands have in common: what a user can repair is one line on stderr and an exit code, no traceback.

Standard library only.
"""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")
ENVIRONMENT = 3


def explained(prog: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Let a command say in one line what the system has refused it: a full disk, a folder that is not its own."""

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def explaining(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except OSError as error:
                if error.errno is None or isinstance(error, ConnectionError):
                    raise  # of a library, which means something else by it
                print(f"{prog}: {in_words(error)}", file=sys.stderr)
                return ENVIRONMENT

        return explaining

    return decorate


def in_words(error: OSError) -> str:
    """Return `/data: Permission denied`, what the system has refused and why."""
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join((*named[:1], error.strerror or str(error)))

"""Words that others wrote, such as a job's message or a file's name: what of them may reach a terminal."""

import re
import sys
from typing import Literal

_NEVER_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, which move cursors and set titles; marks that turn the direction of text; halves of surrogate pairs."""
_SPACE = re.compile(r"\s+")


def printable(text: str) -> str:
    r"""Return text with its control characters spelt out, as in `\x1b`; line ends and tabs stay."""
    return _NEVER_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return printable text on one line, for lines of a log that somebody reads by lines."""
    return _SPACE.sub(" ", printable(text)).strip()


def tell(words: object, *, stream: Literal["out", "err"] = "out") -> None:
    """Print words that may hold anything; every line that is not JSON goes through here or through a console."""
    print(printable(str(words)), file=sys.stdout if stream == "out" else sys.stderr, flush=stream == "err")

"""The one sentence for a name that nobody knows."""

from collections.abc import Iterable
from difflib import SequenceMatcher

MOST_GUESSES = 3
MOST_LISTED = 20
ALIKE_FROM = 0.5


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return `no suite 'nyuv3'; did you mean nyuv2? (known: nyuv2, smoke)`, the known names nearest first.

    Of many known names the nearest are listed, and how many more there are.
    """
    likeness = {other: _likeness(other, name) for other in known}
    ranked = sorted(likeness, key=lambda other: -likeness[other])  # of equally near ones the order stays
    guesses = [other for other in ranked[:MOST_GUESSES] if likeness[other] >= ALIKE_FROM]
    guess = f"; did you mean {' or '.join(guesses)}?" if guesses else ""
    more = f" and {len(ranked) - MOST_LISTED} more" if len(ranked) > MOST_LISTED else ""
    return f"no {what} {name!r}{guess} (known: {', '.join(ranked[:MOST_LISTED]) or 'none'}{more})"


def _likeness(first: str, second: str) -> float:
    """Return how alike two names are, from 0 to 1, whatever their case: `NYUv2` is `nyuv2`."""
    return SequenceMatcher(a=first.casefold(), b=second.casefold()).ratio()

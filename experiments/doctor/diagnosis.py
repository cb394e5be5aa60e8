"""What a check says: of what, how it is, and what to do where that is not well."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["well", "note", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing looked at: a `note` is to be known, what is `wrong` ends runs; `fix` is a command."""

    area: str
    verdict: Verdict
    said: str
    fix: str = ""


def exit_code(findings: Iterable[Diagnosis]) -> int:
    """Return 3, the code of an environment that will not do, if anything is wrong."""
    return 3 if any(finding.verdict == "wrong" for finding in findings) else 0

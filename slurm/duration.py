"""How long a job may take, in the two ways people write it."""

import re
from dataclasses import dataclass
from typing import Self

_UNITS = re.compile(r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?")
_CLOCK = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")


@dataclass(frozen=True, kw_only=True, order=True)
class Duration:
    """A positive number of whole minutes."""

    minutes: int

    def __post_init__(self) -> None:
        # Slurm leaves a job with a limit of 0 pending for ever.
        if self.minutes < 1:
            raise ValueError(f"a duration is at least one minute, got {self.minutes} min")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read "90m", "1h30m", "2d" or Slurm's "1-00:00:00"; seconds are rounded up.

        A bare number and "1:30" are refused: Slurm means minutes and minutes:seconds, most people do not.
        """
        match = _UNITS.fullmatch(text) or _CLOCK.fullmatch(text) if isinstance(text, str) and text else None
        if match is None:
            raise ValueError(f'not a duration: {text!r}; write it as "90m", "1h30m" or "1-00:00:00", in quotes')
        part = {name: int(value) for name, value in match.groupdict().items() if value}
        minutes = part.get("days", 0) * 1440 + part.get("hours", 0) * 60 + part.get("minutes", 0)
        return cls(minutes=minutes + (part.get("seconds", 0) > 0))

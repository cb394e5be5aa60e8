"""One sample as it lies on disk, and what can be wrong with it. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class DataError(Exception):
    """Report a file or folder that does not hold what it should; training on without it would hide the fault."""


class DataNotFoundError(DataError):
    """Report a data set that is not where it was looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFiles:
    """Name the files of one sample, one per modality."""

    name: str
    paths: Mapping[str, Path]

"""What one evaluation found: the numbers of a split under a protocol."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one split under one protocol, over `num_samples` samples; NaN where training diverged.

    `baseline`: what the best constant scores there. `note` says what a reader of the numbers must know beyond that, or
    nothing.
    """

    split: str
    protocol: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_samples: int
    note: str = ""

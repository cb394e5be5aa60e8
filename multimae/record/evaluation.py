"""What one evaluation found: the numbers of a split under a protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of one split under one protocol, over `num_samples` samples; NaN where training diverged.

    `baseline`: what the best constant scores there. `counted` says by metric how many of the samples had something to
    score, such as a pixel with a depth, where that is not all of them. `note` says what a reader of the numbers must
    know beyond that, or nothing.
    """

    split: str
    protocol: str
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_samples: int
    counted: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

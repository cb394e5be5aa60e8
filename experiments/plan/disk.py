"""How much of the disk the checkpoints of a plan's runs take."""

from collections.abc import Sequence
from pathlib import Path

from experiments.plan.planning import PlannedRun
from experiments.plan.render import Keep
from multimae.record.result import Result
from multimae.tables.sizes import SIZES, Size

BYTES_PER_NUMBER = 4
STATES_OF_ADAM = 2
BEYOND_ENCODER = 1.3
"""Adapters, heads and decoders together are about so much more than the encoder, at every size."""


def bytes_kept(plan: Sequence[PlannedRun], *, suite_dir: Path, keep: Keep) -> int:
    """Estimate what stays when all runs have finished: of a run that has, by its number of parameters."""
    return sum(_of_run(planned, suite_dir=suite_dir, keep=keep) for planned in plan)


def num_params(size: Size) -> int:
    """Estimate the parameters of a model: twelve squares of the width a block, and what is around the encoder."""
    return round(BEYOND_ENCODER * size.depth * (12 * size.dim**2 + 13 * size.dim))


def _of_run(planned: PlannedRun, *, suite_dir: Path, keep: Keep) -> int:
    if keep == "none" and not planned.run.provides:
        return 0
    result = Result.read(suite_dir / planned.key)
    numbers = result.num_params if result else num_params(SIZES[planned.run.size])
    return numbers * BYTES_PER_NUMBER * (1 + STATES_OF_ADAM if keep == "all" else 1)

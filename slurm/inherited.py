"""What a process started from inside a job must not inherit of it."""

import re
from collections.abc import Mapping

# An SLURM_CPU_BIND put 8 ranks on 4 cores without a word; by a number of restarts another job counts its starts wrong.
_OF_A_JOB = re.compile(r"(SLURM|SLURMD|SRUN|SBATCH|PMI|PMIX|PMI2|SUBMITIT)_.*|MULTIMAE_COMES_BACK")


def inherited_from_job(environ: Mapping[str, str]) -> list[str]:
    """Name the variables that a job would inherit from the job we are in; none outside of one.

    SLURM_CONF stays: without it a Slurm that is not in /etc is not found.
    """
    if "SLURM_JOB_ID" not in environ:
        return []
    return sorted(name for name in environ if _OF_A_JOB.fullmatch(name) and name != "SLURM_CONF")


def without_inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those of a job we are in."""
    inherited = inherited_from_job(environ)
    return {name: value for name, value in environ.items() if name not in inherited}

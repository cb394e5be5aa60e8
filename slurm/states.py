"""Which of our four states each state of Slurm's is."""

from collections.abc import Mapping
from types import MappingProxyType

from multimae.record.job import JobState

# Every state of Slurm's sacct and squeue manuals (up to 24.11). COMPLETING jobs still hold their node and may still
# write, so they run; the requeued ones wait. PREEMPTED and NODE_FAIL end a job only if Slurm does not start it again,
# and a job it starts again is in squeue, which is asked first.
SLURM_STATES: Mapping[str, JobState] = MappingProxyType(
    {
        "CONFIGURING": JobState.QUEUED,
        "PENDING": JobState.QUEUED,
        "REQUEUED": JobState.QUEUED,
        "REQUEUE_FED": JobState.QUEUED,
        "REQUEUE_HOLD": JobState.QUEUED,
        "RESV_DEL_HOLD": JobState.QUEUED,
        "SPECIAL_EXIT": JobState.QUEUED,
        "COMPLETING": JobState.RUNNING,
        "RESIZING": JobState.RUNNING,
        "RUNNING": JobState.RUNNING,
        "SIGNALING": JobState.RUNNING,
        "STAGE_OUT": JobState.RUNNING,
        "STOPPED": JobState.RUNNING,
        "SUSPENDED": JobState.RUNNING,
        "BOOT_FAIL": JobState.ENDED,
        "CANCELLED": JobState.ENDED,
        "COMPLETED": JobState.ENDED,
        "DEADLINE": JobState.ENDED,
        "FAILED": JobState.ENDED,
        "LAUNCH_FAILED": JobState.ENDED,
        "NODE_FAIL": JobState.ENDED,
        "OUT_OF_MEMORY": JobState.ENDED,
        "PREEMPTED": JobState.ENDED,
        "RECONFIG_FAIL": JobState.ENDED,
        "REVOKED": JobState.ENDED,
        "TIMEOUT": JobState.ENDED,
    }
)


def slurm_state(text: str) -> JobState:
    """Read a state as Slurm prints it, with suffixes such as `CANCELLED by 1000` or `CANCELLED+`."""
    words = text.split()
    return SLURM_STATES.get(words[0].rstrip("+"), JobState.UNKNOWN) if words else JobState.UNKNOWN

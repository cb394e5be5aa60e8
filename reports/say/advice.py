"""How to go on after a run has not finished."""

from collections.abc import Mapping
from types import MappingProxyType

from multimae.record.state import RunState

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "data": "Repair or replace the file named here, then run the same command again.",
        "nan": "Recorded as a result and not tried again. A lower recipe.lr or a longer warm-up makes a new run.",
        "gpu_oom": "Set a smaller recipe.micro_batch_size; the batch the optimizer sees stays the same.",
        "host_oom": "Ask for more memory, or fewer recipe.num_workers, then run the same command again.",
        "disk_full": "Free space under the runs folder, then run the same command again.",
        "config": "Correct the setting named here; the corrected run gets a new name.",
        "error": "The end of the log says where. Run the same command again once it is repaired.",
        "vanished": "The process left no word: killed, or its machine was lost. The same command resumes it.",
        "preempted": "The same command resumes it from its last checkpoint.",
        "timeout": "The same command resumes it from its last checkpoint; ask for more time if this repeats.",
        "paused": "It waits for the search to let it go on.",
        "blocked": "It starts by itself once the run it needs has finished.",
    }
)


def advice(state: RunState) -> str:
    """Say what the user can do; empty where there is nothing to do."""
    if state.status in ("failed", "preempted", "vanished", "diverged"):
        return ADVICE.get(state.kind or "error", ADVICE["error"])
    return ADVICE.get(state.status, "")

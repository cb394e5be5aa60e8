"""What a driver brings to its end: a folder, the command that works in it, what that may use and what it waits for."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multimae.record.places import Places
from slurm.cluster import Resources

# A training step frees and asks again for the same large blocks; glibc gives them back to the system in between unless
# told not to. benchmarks/speed/allocator.py measures what that costs on a CPU; other C libraries ignore the names.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}


@dataclass(frozen=True, kw_only=True)
class Work:
    """A run to be brought to its end.

    `command` is given the number of the attempt. `processes` share the CPUs asked for. `places` are where it reads,
    None where its config says so for good. `needs` are the keys of what has to be finished before.
    """

    key: str
    folder: Path
    command: Callable[[int], Sequence[str]]
    resources: Resources
    processes: int = 1
    places: Places | None = None
    needs: tuple[str, ...] = ()

    def environment(self, *, code: Path) -> dict[str, str]:
        """Return the variables of its jobs, which run the library in `code`."""
        threads = max(1, self.resources.cpus // self.processes)
        return {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(code), **ALLOCATOR}


def execution(folder: Path, *, devices: int = 1) -> Callable[[int], Sequence[str]]:
    """Return the command that executes the run in `folder` on so many devices, given the attempt's number."""
    # -P: a file in the folder the driver was started from hides no module of a job.
    program = (sys.executable, "-P", "-m", "multimae.train", str(folder))
    several = ("--devices", str(devices)) if devices > 1 else ()
    return lambda number: [*program, "--attempt", str(number), *several]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How much of this machine local jobs may use at a time, in cores; a scheduler has limits of its own.

    `devices`: on how many devices each run trains, GPUs under the paper's profile, else processes.
    """

    cores: int
    devices: int = 1

    @classmethod
    def this(cls, *, max_parallel: int | None = None, devices: int = 1) -> "Machine":
        """Use every core, or `max_parallel` of them."""
        return cls(cores=max_parallel or len(os.sched_getaffinity(0)), devices=devices)

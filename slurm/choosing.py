"""How a way of starting jobs is chosen, and how jobs of several ways are asked about."""

import functools
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping

from multimae.record.job import Job, JobState
from multimae.record.nearest import unknown
from slurm.cluster import Cluster
from slurm.launcher import Launcher

LAUNCHERS = ("auto", "slurm", "local", "inline")


def choose(name: str = "auto", *, cluster: Cluster | None = None) -> Launcher:
    """Return the launcher of that name; `auto` is Slurm where there is an sbatch that knows a cluster, else local."""
    if name not in LAUNCHERS:
        raise ValueError(unknown("executor", name, LAUNCHERS))
    if name == "auto":
        name = "slurm" if _knows_a_cluster() else "local"
    if name == "slurm":
        if shutil.which("sbatch") is None:
            raise ValueError(
                "there is no sbatch on the PATH; log in to a machine of the cluster, or use executor local"
            )
        from slurm.batch import SlurmLauncher

        return SlurmLauncher(cluster=cluster or Cluster())
    if name == "local":
        from slurm.local import LocalLauncher

        return LocalLauncher()
    from slurm.inline import InlineLauncher

    return InlineLauncher()


def _knows_a_cluster() -> bool:
    """Say whether Slurm's commands are here and configured; a cluster that only does not answer now still counts.

    Packages bring sbatch to laptops and containers that belong to no cluster.
    """
    if shutil.which("sbatch") is None:
        return False
    try:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%P"], capture_output=True, text=True, timeout=10, check=False
        )
    except FileNotFoundError:
        return False
    except subprocess.TimeoutExpired:
        return True
    return "Could not establish a configuration source" not in asked.stderr


def observe(jobs: Iterable[Job], *, launcher: Launcher) -> Mapping[str, JobState]:
    """Return the state of each submitted job by id, asking the executor that started it, be it `launcher` or not."""
    ids: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.job_id is not None:
            ids[job.executor].append(job.job_id)
    states: dict[str, JobState] = {}
    for executor, its_ids in ids.items():
        asked = launcher if executor == launcher.name else _earlier(executor)
        states |= asked.states(its_ids) if asked else dict.fromkeys(its_ids, JobState.UNKNOWN)
    return states


@functools.cache
def _earlier(executor: str) -> Launcher | None:
    try:
        return choose(executor)
    except ValueError:  # a job of Slurm, looked at from a machine without it
        return None

"""The cluster that tests and `make slurm-up` start on one machine."""

import subprocess
import time

import psutil

from tests.made.real_slurm import NEEDED, real_cluster
from tests.slurm_cluster.configuration import HOSTS
from tests.slurm_cluster.daemons import leftovers, process
from tests.slurm_cluster.running import num_ready, up
from tests.slurm_cluster.settings import ClusterSettings

pytestmark = NEEDED


def test_up_again_starts_what_is_missing_and_down_leaves_nothing() -> None:
    hosts = HOSTS.read_text()
    with real_cluster(port=17800, accounting=False, enforce=False) as cluster:
        assert num_ready(cluster) == 2
        killed, controller = running(cluster, "slurmd-n2"), running(cluster, "slurmctld")
        submitted = subprocess.run(
            ["sbatch", "--parsable", "--wrap", "sleep 600", "--output", str(cluster.folder / "out")],
            capture_output=True,
            text=True,
            check=True,
        )
        wait_for_state(submitted.stdout.strip(), state="RUNNING")
        killed.kill()
        killed.wait(10)
        up(cluster)
        assert running(cluster, "slurmd-n2").pid != killed.pid
        assert running(cluster, "slurmctld").pid == controller.pid
        left = running(cluster, "slurmd-n1").children(recursive=True)
    assert process(cluster, "slurmctld") is None
    assert not leftovers(cluster)
    assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not cluster.folder.exists()
    assert HOSTS.read_text() == hosts


def running(cluster: ClusterSettings, name: str) -> psutil.Process:
    found = process(cluster, name)
    assert found is not None, f"{name} does not run"
    return found


def wait_for_state(job: str, *, state: str) -> None:
    for _ in range(100):
        asked = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True)
        if asked.stdout.strip() == state:
            return
        time.sleep(0.2)
    raise AssertionError(f"job {job} is not {state}")

"""Bring a whole cluster up, or what is missing of it, and down again."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.slurm_cluster.accounting import start_accounting
from tests.slurm_cluster.configuration import forget_hosts, name_hosts, write_configuration
from tests.slurm_cluster.daemons import (
    ClusterError,
    launch,
    leftovers,
    listens,
    process,
    require_free,
    stop,
    wait_for,
)
from tests.slurm_cluster.packages import install_missing
from tests.slurm_cluster.settings import ClusterSettings

ASK_WITHIN_S = 10.0


def up(settings: ClusterSettings) -> None:
    """Start every daemon that does not run; what is configured is taken when slurmctld starts."""
    if os.getuid() != 0:
        raise ClusterError("a cluster is started by root: it makes devices, and its daemons change users")
    log_dir = settings.folder / "log"
    install_missing(accounting=settings.accounting)
    if process(settings, "slurmctld") is None:
        require_free(settings.controller_port, owner="slurmctld")
        write_configuration(settings)
        name_hosts(settings)
    start_munge(settings)
    if settings.accounting:
        start_accounting(settings)
    start_controller(settings)
    for name in settings.node_names:
        start_node(settings, name)
    wait_for("a node", lambda: num_ready(settings) == settings.num_nodes, log=log_dir / "slurmctld.log")


def start_munge(settings: ClusterSettings) -> None:
    """Start the daemon by which the others know each other."""
    if process(settings, "munged") is not None:
        return
    run, log = settings.folder / "run", settings.folder / "log" / "munged.log"
    for left in run.glob("munge.sock*"):
        left.unlink()
    command = [
        "munged",
        f"--key-file={settings.slurm_conf.parent / 'munge.key'}",
        f"--socket={settings.munge_socket}",
        f"--pid-file={run / 'munged.pid'}",
        f"--log-file={log}",
        f"--seed-file={run / 'munged.seed'}",
        "--num-threads=10",
    ]
    launch(command, log=log, environment=os.environ)


def start_controller(settings: ClusterSettings) -> None:
    """Start slurmctld, if it does not run, and wait until it answers."""
    log = settings.folder / "log" / "slurmctld.log"
    if process(settings, "slurmctld") is None:
        launch(["slurmctld", "-f", settings.slurm_conf], log=log, environment=environment(settings))
    wait_for("slurmctld", lambda: listens(settings.controller_port), log=log)


def start_node(settings: ClusterSettings, name: str) -> None:
    """Start the slurmd of a node, if it does not run."""
    if process(settings, f"slurmd-{name}") is None:
        port = settings.node_ports[settings.node_names.index(name)]
        require_free(port, owner=f"slurmd of {name}")
        command = ["slurmd", "-f", settings.slurm_conf, "-N", name]
        launch(command, log=settings.folder / "log" / f"slurmd-{name}.log", environment=environment(settings))


def num_ready(settings: ClusterSettings) -> int:
    """Count the nodes that take jobs."""
    command = ["sinfo", "--noheader", "--Node", "--partition=main", "--states=idle,mixed,alloc", "--format=%N"]
    return len(ask(settings, command).split())


def ask(settings: ClusterSettings, command: list[str]) -> str:
    """Return what a command of Slurm says, "" if it does not answer."""
    try:
        done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=ASK_WITHIN_S)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def environment(settings: ClusterSettings) -> dict[str, str]:
    """Return this process's variables with those of the cluster."""
    return {**os.environ, **settings.environment}


def down(settings: ClusterSettings) -> None:
    """End the jobs, then the daemons, and whatever the jobs have left; files stay."""
    if process(settings, "slurmctld") is not None:
        ask(settings, ["scancel", "--quiet", "--full", "--signal=KILL", "--state=RUNNING", "--user=root"])
        ask(settings, ["scancel", "--quiet", "--user=root"])
    names = [*(f"slurmd-{name}" for name in settings.node_names), "slurmctld", "slurmdbd", "mariadbd", "munged"]
    for name in names:
        if (found := process(settings, name)) is not None:
            stop(found)
        if name.startswith("slurmd-"):
            for left in leftovers(settings):
                left.kill()
    forget_hosts(settings)


def purge(folder: Path) -> None:
    """Remove a cluster's files."""
    shutil.rmtree(folder, ignore_errors=True)

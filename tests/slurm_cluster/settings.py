"""What a cluster of this machine looks like, and where its files and ports are."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
LONGEST_FOLDER = 80
"""Characters: unix sockets lie in the folder, and a socket's path has 108 bytes."""
LEAST_REQUEUE_S = 5
"""Slurm takes less for its default of 120 s."""


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Describe a cluster; CPUs and memory are of each node and may exceed the machine's, GPUs are no real ones.

    Without `accounting` there is no database, and sacct fails. With `enforce`, accounts and QOS that are not known are
    refused: account `test` and QOS `normal` and `long` are. With `kill_over_memory` a job that takes more than it asked
    for is killed. A requeued job waits for `requeue_s`. `extra` are further lines of slurm.conf. `port` is the first of
    the ports used, up to 20 and the number of nodes above it.
    """

    folder: Path
    num_nodes: int = 2
    cpus: int = 16
    memory_mb: int = 256_000
    gpus: int = 4
    accounting: bool = True
    enforce: bool = False
    kill_over_memory: bool = False
    requeue_s: int = LEAST_REQUEUE_S
    extra: tuple[str, ...] = ()
    port: int = 16_800

    def __post_init__(self) -> None:
        if not self.folder.is_absolute() or len(str(self.folder)) > LONGEST_FOLDER:
            raise ValueError(f"the folder has an absolute path of at most {LONGEST_FOLDER} characters: {self.folder}")
        if self.requeue_s < LEAST_REQUEUE_S:
            raise ValueError(f"a requeued job waits at least {LEAST_REQUEUE_S} s, got {self.requeue_s}")

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"n{number}" for number in range(1, self.num_nodes + 1))

    @property
    def controller_port(self) -> int:
        return self.port + 17

    @property
    def database_port(self) -> int:
        return self.port + 6

    @property
    def accounting_port(self) -> int:
        return self.port + 19

    @property
    def node_ports(self) -> tuple[int, ...]:
        return tuple(self.port + 20 + number for number in range(1, self.num_nodes + 1))

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "run" / "munge.sock"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead Slurm's commands to this cluster."""
        return {"SLURM_CONF": str(self.slurm_conf)}

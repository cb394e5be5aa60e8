"""Debian's packages that a cluster is made of, installed where they are missing."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.slurm_cluster.daemons import ClusterError

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
"""The package of each program."""
FOR_ACCOUNTING = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server-core"}
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")
START_NOTHING = "#!/bin/sh\nexit 101\n"


def missing_packages(*, accounting: bool) -> list[str]:
    """Name the packages of the programs that are not there."""
    wanted = PACKAGES | (FOR_ACCOUNTING if accounting else {})
    return [package for program, package in wanted.items() if shutil.which(program, path=SYSTEM_PATH) is None]


def install_missing(*, accounting: bool) -> None:
    """Install what is missing, without what it recommends and without starting the services it brings."""
    packages = missing_packages(accounting=accounting)
    if not packages:
        return
    with _no_services():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = _apt_get(command)
            if done.returncode:
                raise ClusterError(f"apt-get could not install {', '.join(packages)}: {done.stderr.strip()}")


def _apt_get(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "--quiet", *arguments]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@contextmanager
def _no_services() -> Iterator[None]:
    """Tell Debian's package scripts to start nothing, unless the machine has a policy of its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(START_NOTHING)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()

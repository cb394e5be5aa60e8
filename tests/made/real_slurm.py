"""A real Slurm cluster on this machine for tests, where the scripts that start one are at hand."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared")) / "slurm"

NEEDED = [
    pytest.mark.skipif(not (SCRIPTS / "slurm-up.sh").exists(), reason=f"no slurm-up.sh in {SCRIPTS}"),
    pytest.mark.skipif(os.getuid() != 0, reason="slurm-up.sh wants to be root"),
]


@contextlib.contextmanager
def real_cluster(*, port: int) -> Iterator[None]:
    """Start a cluster, point SLURM_CONF at it, tear it down."""
    # Not in pytest's folder: the path of a unix socket has 108 bytes.
    folder = tempfile.mkdtemp(prefix="slurm-test-", dir="/tmp")
    environ = {**os.environ, "MINISLURM_PORT": str(port), "MINISLURM_ENFORCE": "1"}
    environ.pop("SLURM_CONF", None)
    try:
        subprocess.run([SCRIPTS / "slurm-up.sh", folder], env=environ, check=True, stdout=subprocess.DEVNULL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", f"{folder}/etc/slurm.conf")
            yield
    finally:
        subprocess.run([SCRIPTS / "slurm-down.sh", folder, "--purge"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)

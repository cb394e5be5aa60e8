"""A real Slurm cluster on this machine for tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.slurm_cluster.packages import missing_packages
from tests.slurm_cluster.running import down, up
from tests.slurm_cluster.settings import ClusterSettings

MISSING = missing_packages(accounting=True)

NEEDED = [
    pytest.mark.skipif(os.getuid() != 0, reason="a cluster is started by root"),
    pytest.mark.skipif(
        bool(MISSING), reason=f"{', '.join(MISSING)} missing: `python -m tests.slurm_cluster install` installs them"
    ),
]


@contextmanager
def real_cluster(*, port: int, **settings: Any) -> Iterator[ClusterSettings]:
    """Start a cluster that enforces accounts, point SLURM_CONF at it, take it down."""
    # Not in pytest's folder: the path of a unix socket has 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="slurm-test-", dir="/tmp"))
    cluster = ClusterSettings(**{"folder": folder, "port": port, "enforce": True, **settings})
    try:
        up(cluster)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(cluster.slurm_conf))
            yield cluster
    finally:
        down(cluster)
        shutil.rmtree(folder, ignore_errors=True)

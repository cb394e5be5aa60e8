"""The launcher that a command line asks for."""

import argparse

from experiments.plan.errors import PreconditionError, UsageError
from slurm.choosing import choose
from slurm.cluster import ClusterError, load_cluster
from slurm.launcher import Launcher


def launcher_of(arguments: argparse.Namespace) -> Launcher:
    """Return the launcher that --executor, --cluster and --cluster-file ask for."""
    try:
        cluster = load_cluster(arguments.cluster_file, name=arguments.cluster)
        return choose(arguments.executor, cluster=cluster)
    except ClusterError as error:
        raise UsageError(str(error)) from error
    except ValueError as error:
        raise PreconditionError(str(error)) from error

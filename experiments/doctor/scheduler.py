"""Check what a cluster allows against what runs will ask of it."""

import shutil
from collections.abc import Iterator

from experiments.doctor.diagnosis import Diagnosis, Verdict
from multimae.record.nearest import unknown
from slurm.cluster import Cluster
from slurm.facts import ClusterFacts, NodeShape, Partition, read_facts

AREA = "slurm"
LEAST_GRACE_S = 60
"""Saving takes seconds, but a job hears of its end between two steps only."""


def check_scheduler(cluster: Cluster) -> Iterator[Diagnosis]:
    """Yield what the cluster's own commands tell."""
    if shutil.which("sbatch") is None:
        yield _note("no sbatch on the PATH: runs start on this machine", verdict="well")
        return
    facts = read_facts()
    if facts is None:
        yield _wrong("the controller does not answer", fix="scontrol ping")
    else:
        yield from check_cluster(cluster, facts=facts)


def check_cluster(cluster: Cluster, *, facts: ClusterFacts) -> Iterator[Diagnosis]:
    """Yield where what a cluster allows and what `clusters.toml` asks for do not meet."""
    yield _note(f"Slurm {facts.version} answers, cluster entry {cluster.name!r}", verdict="well")
    yield from _coming_back(facts)
    yield from _remembering(facts)
    yield from _charging(cluster, facts=facts)
    yield from _placing(cluster, facts=facts)
    yield from _limits(cluster, facts=facts)


def _coming_back(facts: ClusterFacts) -> Iterator[Diagnosis]:
    if facts.requeues:
        yield _note("stopped jobs may go back into the queue (JobRequeue=1)", verdict="well")
    else:
        yield _note(
            "stopped jobs may not go back into the queue (JobRequeue=0): the next sweep starts them again",
            fix="scontrol show config | grep JobRequeue",
        )
    if facts.preempts and not facts.sends_user_signal:
        yield _note(
            "a preempted job hears SIGTERM alone (no preempt_send_user_signal): it goes on from its last checkpoint",
            fix="scontrol show config | grep SlurmctldParameters",
        )


def _remembering(facts: ClusterFacts) -> Iterator[Diagnosis]:
    if facts.accounts:
        yield _note("sacct remembers ended jobs", verdict="well")
    else:
        yield _note(
            f"no accounting: Slurm forgets ended jobs after {facts.min_job_age_s} s; the runs' own files tell then"
        )


def _charging(cluster: Cluster, *, facts: ClusterFacts) -> Iterator[Diagnosis]:
    accounts = {one.account for one in facts.associations}
    if not facts.enforces:
        return
    if not accounts:
        yield _wrong("you have no account here", fix="sacctmgr show associations user=$USER")
    elif cluster.account and cluster.account not in accounts:
        yield _unknown("account", cluster.account, accounts)
    else:
        yield _note(f"charged to {cluster.account or 'your default account'}", verdict="well")
    qos = {name for one in facts.associations for name in one.qos if cluster.account in (None, one.account)}
    if cluster.qos and cluster.qos not in qos:
        yield _unknown("qos", cluster.qos, qos)


def _placing(cluster: Cluster, *, facts: ClusterFacts) -> Iterator[Diagnosis]:
    partition = _partition(cluster, facts=facts)
    if partition is None:
        names = {one.name for one in facts.partitions}
        if cluster.partition:
            yield _unknown("partition", cluster.partition, names)
        else:
            yield _wrong(f"no partition is the default of {', '.join(sorted(names))}; set `partition`", fix="sinfo")
        return
    if not partition.is_up:
        yield _wrong(f"partition {partition.name} is down", fix=f"sinfo --partition={partition.name} --list-reasons")
    most, asked = partition.most_minutes, cluster.time.minutes if cluster.time else None
    if most is not None and asked is not None and asked > most:
        yield _wrong(f"time is {asked} min, partition {partition.name} allows {most}; jobs would never start")
    if partition.preempt_mode not in ("OFF", "") and partition.grace_s < LEAST_GRACE_S:
        yield _note(
            f"partition {partition.name} gives a preempted job {partition.grace_s} s; it goes on from its last "
            "checkpoint where that is too short"
        )
    yield from _nodes(cluster, partition=partition, shapes=[s for s in facts.shapes if s.partition == partition.name])


def _nodes(cluster: Cluster, *, partition: Partition, shapes: list[NodeShape]) -> Iterator[Diagnosis]:
    usable = [shape for shape in shapes if shape.takes_jobs]
    if not usable:
        yield _wrong(f"no node of partition {partition.name} takes jobs", fix="sinfo --list-reasons")
        return
    features = frozenset[str]().union(*(shape.features for shape in shapes))
    if cluster.constraint and cluster.constraint.isidentifier() and cluster.constraint not in features:
        yield _unknown("constraint", cluster.constraint, features)
    number, gpus = sum(shape.num_nodes for shape in usable), max(shape.gpus for shape in usable)
    kinds = sorted({shape.gpu_type for shape in usable if shape.gpu_type})
    said = f"partition {partition.name}: {number} nodes, {max(s.cpus for s in usable)} CPUs and {gpus} GPUs at most"
    yield _note(f"{said}{' (' + ', '.join(kinds) + ')' if kinds else ''}", verdict="well")


def _limits(cluster: Cluster, *, facts: ClusterFacts) -> Iterator[Diagnosis]:
    most = facts.most_jobs(account=cluster.account, qos=cluster.qos)
    said = f"at most {most} jobs at a time" if most is not None else "no limit on the number of jobs"
    yield _note(f"{said}, arrays of at most {facts.largest_array}", verdict="well")


def _partition(cluster: Cluster, *, facts: ClusterFacts) -> Partition | None:
    if cluster.partition is None:
        return facts.default_partition()
    return next((one for one in facts.partitions if one.name == cluster.partition), None)


def _unknown(setting: str, name: str, known: set[str] | frozenset[str]) -> Diagnosis:
    return _wrong(f"{unknown(setting, name, sorted(known))} on this cluster", fix=_WHERE_LISTED[setting])


_WHERE_LISTED = {
    "account": "sacctmgr show associations user=$USER",
    "qos": "sacctmgr show associations user=$USER format=account,qos",
    "partition": "sinfo",
    "constraint": "sinfo --format='%P %f'",
}


def _note(said: str, *, verdict: Verdict = "note", fix: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, verdict=verdict, said=said, fix=fix)


def _wrong(said: str, *, fix: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, verdict="wrong", said=said, fix=fix)

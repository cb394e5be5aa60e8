"""What a cluster allows and has, as Slurm's commands say it."""

import getpass
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slurm.duration import Duration
from slurm.squeue import ask

UNLIMITED = frozenset({"", "UNLIMITED", "INFINITE", "NONE", "N/A", "(null)"})
TAKES_JOBS = frozenset({"idle", "mixed", "allocated", "completing", "alloc", "mix", "comp"})
_SETTING = re.compile(r"^(?P<name>\S+)\s*=\s*(?P<value>.*)$", re.MULTILINE)
_FIELD = re.compile(r"(?P<name>[\w/:]+)=(?P<value>\S*)")
_GPUS = re.compile(r"gpu(?::(?P<type>[^:,()]+))?:(?P<number>\d+)")


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition; None for a limit that it does not have."""

    name: str
    is_default: bool
    is_up: bool
    most_minutes: int | None
    grace_s: int
    """Seconds between the signal of a preemption and the kill."""
    preempt_mode: str


@dataclass(frozen=True, kw_only=True)
class NodeShape:
    """Nodes of a partition that are alike; CPUs and memory are of each."""

    partition: str
    num_nodes: int
    cpus: int
    memory_mb: int
    gpus: int
    gpu_type: str
    features: frozenset[str]
    takes_jobs: bool


@dataclass(frozen=True, kw_only=True)
class Association:
    """An account the user may charge, with the QOS it may use; `most_jobs` may wait or run at a time."""

    account: str
    partition: str
    qos: tuple[str, ...]
    most_jobs: int | None


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """What the controller says of its settings, and the database, if there is one, of this user."""

    version: str
    requeues: bool
    """Whether a job may go back into the queue, by itself or by Slurm."""
    sends_user_signal: bool
    """Whether a job hears of a preemption by the signal it asked for."""
    preempts: bool
    kill_wait_s: int
    min_job_age_s: int
    largest_array: int
    accounts: bool
    """Whether a database remembers jobs that the controller has forgotten."""
    enforces: bool
    """Whether a job without a known account is refused."""
    partitions: tuple[Partition, ...]
    shapes: tuple[NodeShape, ...]
    associations: tuple[Association, ...]
    most_jobs_of_qos: Mapping[str, int]

    def default_partition(self) -> Partition | None:
        """Return where a job goes that names no partition."""
        return next((one for one in self.partitions if one.is_default), None)

    def most_jobs(self, *, account: str | None = None, qos: str | None = None) -> int | None:
        """Return how many jobs the user may have at a time, waiting ones among them; None where nothing limits them."""
        allowed = [one for one in self.associations if account in (None, one.account)]
        # A job that names no account is charged to one of them, which of them the user alone knows.
        of_accounts = [one.most_jobs for one in allowed if one.most_jobs is not None]
        used = {qos} if qos else {name for one in allowed for name in one.qos}
        limits = [*of_accounts, *(most for name, most in self.most_jobs_of_qos.items() if name in used)]
        return min(limits, default=None)


def read_facts() -> ClusterFacts | None:
    """Ask the cluster; None where its controller does not answer."""
    settings, partitions = ask(["scontrol", "show", "config"]), ask(["scontrol", "--oneliner", "show", "partition"])
    shapes = ask(["sinfo", "--noheader", "--format=%R|%D|%c|%m|%G|%f|%T"])
    if settings is None or partitions is None or shapes is None:
        return None
    listed = ["--noheader", "--parsable2"]
    user = f"user={getpass.getuser()}"
    associations = ask(["sacctmgr", *listed, "show", "assoc", user, "format=account,partition,qos,maxsubmitjobs"])
    qos = ask(["sacctmgr", *listed, "show", "qos", "format=name,maxsubmitjobsperuser"])
    return facts_of(settings=settings, partitions=partitions, shapes=shapes, associations=associations, qos=qos)


def facts_of(*, settings: str, partitions: str, shapes: str, associations: str | None, qos: str | None) -> ClusterFacts:
    """Return what the commands' answers say; None for what the database did not answer."""
    told = {match["name"]: match["value"].strip() for match in _SETTING.finditer(settings)}
    return ClusterFacts(
        version=told.get("SLURM_VERSION", "unknown"),
        requeues=told.get("JobRequeue", "1") == "1",
        sends_user_signal="preempt_send_user_signal" in told.get("SlurmctldParameters", ""),
        preempts=told.get("PreemptType", "preempt/none") not in ("preempt/none", "(null)"),
        kill_wait_s=_seconds(told.get("KillWait", "30")),
        min_job_age_s=_seconds(told.get("MinJobAge", "300")),
        largest_array=int(told.get("MaxArraySize", "1001")) - 1,
        accounts=told.get("AccountingStorageType", "").endswith("slurmdbd"),
        enforces="associations" in told.get("AccountingStorageEnforce", ""),
        partitions=tuple(_partition(line) for line in partitions.splitlines() if line.strip()),
        shapes=tuple(_shape(line) for line in shapes.splitlines() if line.count("|") == 6),
        associations=tuple(_associations(associations or "")),
        most_jobs_of_qos=_limits(qos or ""),
    )


def minutes_of(limit: str) -> int | None:
    """Read a time limit as Slurm prints it; None for none."""
    return None if limit.upper() in UNLIMITED else Duration.parse(limit).minutes


def _partition(line: str) -> Partition:
    told = {match["name"]: match["value"] for match in _FIELD.finditer(line)}
    return Partition(
        name=told["PartitionName"],
        is_default=told.get("Default") == "YES",
        is_up=told.get("State") == "UP",
        most_minutes=minutes_of(told.get("MaxTime", "")),
        grace_s=_seconds(told.get("GraceTime", "0")),
        preempt_mode=told.get("PreemptMode", "OFF"),
    )


def _shape(line: str) -> NodeShape:
    partition, num_nodes, cpus, memory, gres, features, state = line.split("|")
    gpus = list(_GPUS.finditer(gres))
    return NodeShape(
        partition=partition,
        num_nodes=_number(num_nodes),
        cpus=_number(cpus),
        memory_mb=_number(memory),
        gpus=sum(int(match["number"]) for match in gpus),
        gpu_type=next((match["type"] for match in gpus if match["type"]), ""),
        features=frozenset() if features in UNLIMITED else frozenset(features.split(",")),
        # A mark behind the state says more of the node: not responding, powered down, in a reservation.
        takes_jobs=state.rstrip("*~#!%$@^-+").lower() in TAKES_JOBS and not state.endswith("*"),
    )


def _associations(text: str) -> Iterable[Association]:
    for line in text.splitlines():
        account, partition, qos, most = line.split("|")
        yield Association(
            account=account,
            partition=partition,
            qos=tuple(name for name in qos.split(",") if name),
            most_jobs=int(most) if most else None,
        )


def _limits(text: str) -> dict[str, int]:
    rows = (line.split("|") for line in text.splitlines())
    return {name: int(most) for name, most in rows if most}


def _seconds(text: str) -> int:
    """Read "30", "30 sec" or a clock."""
    first = text.split()[0] if text.split() else "0"
    return int(first) if first.isdigit() else 0 if first.upper() in UNLIMITED else _of_clock(first)


def _of_clock(text: str) -> int:
    days, _, clock = text.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds + int(days or 0) * 86_400


def _number(text: str) -> int:
    """Read a number that may have a `+` behind: nodes of a row that have more."""
    return int(text.rstrip("+"))

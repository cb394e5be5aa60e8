"""The files that Slurm's daemons read: slurm.conf, gres.conf, slurmdbd.conf, the key, and names in /etc/hosts.

Nothing needs systemd, containers or control groups: processes are found by their parents, and memory by sampling.
"""

import os
import socket
import stat
import time
from pathlib import Path

from tests.slurm_cluster.settings import LOOPBACK, ClusterSettings

HOSTS = Path("/etc/hosts")
NULL_DEVICE = os.makedev(1, 3)
DATABASE = "slurm_acct_db"
DATABASE_USER = "slurm"

SLURM_CONF = """\
ClusterName=mini
SlurmctldHost=localhost({loopback})
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket},cred_expire={requeue_s}
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MailProg=/bin/true
FirstJobId={first_job_id}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU={memory_per_cpu}
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=2
MaxArraySize=10001
MaxJobCount=20000
MinJobAge=600
ReturnToService=2
SlurmdTimeout=10
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName={nodes} NodeHostname={host} NodeAddr={loopback} Port={node_ports} CPUs={cpus} RealMemory={memory_mb} {gres}
PartitionName=main Nodes=ALL Default=YES DefaultTime=60 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=ALL DefaultTime=60 MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={loopback}
AccountingStoragePort={accounting_port}
AccountingStoragePass={socket}
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={socket}
DbdHost=localhost
DbdAddr={loopback}
DbdPort={accounting_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost={loopback}
StoragePort={database_port}
StorageUser={user}
StoragePass={user}
StorageLoc={database}
"""

INIT_SQL = """\
CREATE DATABASE IF NOT EXISTS {database};
CREATE USER IF NOT EXISTS '{user}'@'{loopback}' IDENTIFIED BY '{user}';
GRANT ALL ON {database}.* TO '{user}'@'{loopback}';
"""


def write_configuration(settings: ClusterSettings) -> None:
    """Write everything anew; never under a slurmctld that runs."""
    etc, facts = settings.slurm_conf.parent, _facts(settings)
    for name in ("etc", "run", "log", "state", "spool", "dev", *(f"spool/{node}" for node in settings.node_names)):
        (settings.folder / name).mkdir(parents=True, exist_ok=True)
    settings.folder.chmod(0o755)  # munge lets everybody reach its socket, or refuses to start
    _write_key(etc / "munge.key")
    _make_gpus(settings)
    (etc / "gres.conf").write_text(_gres_conf(settings))
    settings.slurm_conf.write_text(_slurm_conf(settings, facts=facts))
    if settings.accounting:
        _write_secret(etc / "slurmdbd.conf", SLURMDBD_CONF.format(**facts).encode())
        (etc / "init.sql").write_text(INIT_SQL.format(**facts))
    (settings.folder / "env.sh").write_text(f"export SLURM_CONF={settings.slurm_conf}\n")


def _facts(settings: ClusterSettings) -> dict[str, str | int]:
    first, last = settings.node_ports[0], settings.node_ports[-1]
    return {
        "folder": str(settings.folder),
        "loopback": LOOPBACK,
        "host": socket.gethostname().partition(".")[0],
        "socket": str(settings.munge_socket),
        "controller_port": settings.controller_port,
        "database_port": settings.database_port,
        "accounting_port": settings.accounting_port,
        "requeue_s": settings.requeue_s,
        # Ids never come twice, even in a cluster made anew: submitit takes an old result of that id for the new job's.
        "first_job_id": int(time.time()) % 600_000 * 100 + 1,
        "memory_per_cpu": settings.memory_mb // settings.cpus,
        "memory_mb": settings.memory_mb,
        "cpus": settings.cpus,
        "nodes": f"n[1-{settings.num_nodes}]",
        "node_ports": f"[{first}-{last}]",
        "gres": f"Gres=gpu:{settings.gpus}" if settings.gpus else "",
        "database": DATABASE,
        "user": DATABASE_USER,
    }


def _slurm_conf(settings: ClusterSettings, *, facts: dict[str, str | int]) -> str:
    further = ["GresTypes=gpu"] if settings.gpus else []
    if settings.kill_over_memory:
        further.append("JobAcctGatherParams=OverMemoryKill")
    if settings.accounting:
        further.append(ACCOUNTING.format(**facts))
        further += ["AccountingStorageTRES=gres/gpu"] if settings.gpus else []
        further += ["AccountingStorageEnforce=associations,limits,qos"] if settings.enforce else []
    # Slurm knows kinds of resources only once they are named: before the nodes that have them.
    return "\n".join([*further, SLURM_CONF.format(**facts), *settings.extra]) + "\n"


def _gres_conf(settings: ClusterSettings) -> str:
    if not settings.gpus:
        return ""
    nodes, last = f"n[1-{settings.num_nodes}]", settings.gpus - 1
    return f"NodeName={nodes} Name=gpu File={settings.folder}/dev/nvidia[0-{last}]\n"


def _make_gpus(settings: ClusterSettings) -> None:
    """Make devices that hold nothing: Slurm numbers character devices and sets CUDA_VISIBLE_DEVICES by them."""
    for number in range(settings.gpus):
        device = settings.folder / "dev" / f"nvidia{number}"
        if not device.exists():
            os.mknod(device, 0o666 | stat.S_IFCHR, NULL_DEVICE)


def _write_key(key: Path) -> None:
    if not key.exists():
        _write_secret(key, os.urandom(128))


def _write_secret(file: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, or Slurm refuses it."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_bytes(content)


def name_hosts(settings: ClusterSettings) -> None:
    """Give the nodes, and this machine if it has none, the loopback's address: ranks find each other by these names."""
    lines = HOSTS.read_text().splitlines()
    names = [*settings.node_names, *([] if _resolves(socket.gethostname()) else [socket.gethostname()])]
    wanted = [f"{LOOPBACK} {name} {_mark(settings)}" for name in names]
    HOSTS.write_text("\n".join([*lines, *(line for line in wanted if line not in lines)]) + "\n")


def forget_hosts(settings: ClusterSettings) -> None:
    """Take the names of this cluster out again."""
    lines = HOSTS.read_text().splitlines()
    HOSTS.write_text("\n".join(line for line in lines if not line.endswith(_mark(settings))) + "\n")


def _mark(settings: ClusterSettings) -> str:
    return f"# slurm cluster of {settings.folder}"


def _resolves(host: str) -> bool:
    """Say whether a name leads to the loopback; raise if it leads elsewhere, where the daemons would then listen."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return False
    if not address.startswith("127."):
        raise RuntimeError(
            f"{host} resolves to {address}: Slurm would listen there, not on {LOOPBACK}; give {LOOPBACK} that name in "
            f"{HOSTS} first"
        )
    return True

"""What Slurm's commands say of a cluster; the answers are those of real clusters, shortened."""

import pytest

from slurm.facts import ClusterFacts, facts_of, minutes_of, read_facts
from tests.made.real_slurm import NEEDED, real_cluster
from tests.slurm_cluster.accounting import manage

SETTINGS = """\
Configuration data as of 2026-11-28T04:36:06
AccountingStorageEnforce = associations,limits,qos
AccountingStorageType   = accounting_storage/slurmdbd
JobRequeue              = 0
KillWait                = 30 sec
MaxArraySize            = 1001
MinJobAge               = 300 sec
PreemptType             = preempt/qos
SlurmctldParameters     = (null)
SLURM_VERSION           = 23.02.7

Slurmctld(primary) at head is UP
"""
PARTITIONS = (
    "PartitionName=gpu AllowGroups=ALL Default=YES DefaultTime=NONE GraceTime=120 MaxTime=1-00:00:00 State=UP "
    "PreemptMode=REQUEUE Nodes=g[1-8]\n"
    "PartitionName=debug Default=NO GraceTime=0 MaxTime=00:30:00 State=DOWN PreemptMode=OFF\n"
    "PartitionName=long Default=NO GraceTime=0 MaxTime=UNLIMITED State=UP PreemptMode=OFF\n"
)
SHAPES = (
    "gpu|6|64|515000|gpu:a100:4(S:0-1)|a100,nvlink|mixed\n"
    "gpu|1|64+|515000+|gpu:a100:4(S:0-1),gpu:mig:2|a100|drained*\n"
    "long|40|128|257000|(null)|(null)|idle~\n"
)
ASSOCIATIONS = "lab||normal,long|200\nlab|debug|normal|\nother||normal|5\n"
QOS = "normal|\nlong|50\ndebug|1\n"


def facts(**answers: str | None) -> ClusterFacts:
    usual: dict[str, str | None] = {
        "settings": SETTINGS,
        "partitions": PARTITIONS,
        "shapes": SHAPES,
        "associations": ASSOCIATIONS,
        "qos": QOS,
    }
    return facts_of(**{**usual, **answers})  # type: ignore[arg-type]


def test_settings_of_the_controller() -> None:
    found = facts()
    assert (found.version, found.requeues, found.sends_user_signal, found.preempts) == ("23.02.7", False, False, True)
    assert (found.kill_wait_s, found.min_job_age_s, found.largest_array) == (30, 300, 1000)
    assert (found.accounts, found.enforces) == (True, True)


def test_partitions_and_their_nodes() -> None:
    gpu, debug, long = facts().partitions
    assert (gpu.name, gpu.is_default, gpu.is_up, gpu.most_minutes, gpu.grace_s) == ("gpu", True, True, 1440, 120)
    assert (debug.is_up, debug.most_minutes, long.most_minutes) == (False, 30, None)
    busy, drained, asleep = facts().shapes
    assert (busy.num_nodes, busy.gpus, busy.gpu_type, busy.takes_jobs) == (6, 4, "a100", True)
    assert busy.features == {"a100", "nvlink"}
    assert (drained.cpus, drained.gpus, drained.takes_jobs) == (64, 6, False)
    assert (asleep.gpus, asleep.features, asleep.takes_jobs) == (0, frozenset(), True)


@pytest.mark.parametrize(
    ("account", "qos", "most"), [("lab", None, 50), ("lab", "normal", 200), ("other", None, 5), ("lab", "debug", 1)]
)
def test_how_many_jobs_a_user_may_have(account: str, qos: str | None, most: int) -> None:
    assert facts().most_jobs(account=account, qos=qos) == most


def test_a_cluster_without_a_database_limits_nobody() -> None:
    bare = SETTINGS.replace("accounting_storage/slurmdbd", "accounting_storage/none").replace("associations,", "")
    found = facts(settings=bare, associations=None, qos=None)
    assert (found.accounts, found.enforces, found.most_jobs(), found.associations) == (False, False, None, ())


@pytest.mark.parametrize(("text", "minutes"), [("UNLIMITED", None), ("infinite", None), ("1-00:00:00", 1440)])
def test_time_limits(text: str, minutes: int | None) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.skipif(NEEDED[0].args[0] or NEEDED[1].args[0], reason=NEEDED[1].kwargs["reason"])
def test_a_real_cluster() -> None:
    with real_cluster(port=17900, num_nodes=1, gpus=2) as cluster:
        manage(cluster, "modify", "user", "root", "set", "maxsubmitjobs=7")
        found = read_facts()
    assert found is not None
    assert (found.requeues, found.sends_user_signal, found.accounts, found.largest_array) == (True, True, True, 10_000)
    assert {one.name: one.grace_s for one in found.partitions} == {"main": 0, "low": 30}
    assert {(one.partition, one.cpus, one.gpus) for one in found.shapes} == {("main", 16, 2), ("low", 16, 2)}
    assert {one.account for one in found.associations} == {"root", "test"}
    assert found.most_jobs() == 7
    assert read_facts() is None

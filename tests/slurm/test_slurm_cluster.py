"""Cluster files, durations and states: what people write and what Slurm prints."""

from pathlib import Path

import pytest

from multimae.record.job import JobState
from slurm import cluster as cluster_module
from slurm.batch import _further_options, _is_transient
from slurm.choosing import choose
from slurm.cluster import Cluster, ClusterError, Resources, load_cluster
from slurm.duration import Duration
from slurm.inherited import inherited_from_job
from slurm.states import slurm_state

CLUSTERS = """
[big]
partition = "gpu"
account = "abc"
time = "1h30m"
setup = ["module load cuda"]
extra = { gres = "gpu:a100:1", exclusive = true, requeue = false }

[small]
"""


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90m", 90), ("1h30m", 90), ("2d", 2880), ("1-00:00:00", 1440), ("01:30:00", 90), ("00:00:01", 1), ("1d1m", 1441)],
)
def test_durations(text: str, minutes: int) -> None:
    assert Duration.parse(text).minutes == minutes


@pytest.mark.parametrize("text", ["", "90", "1:30", 90, "m", "1m1h", "0m", "00:00:00", None, "01:99:00"])
def test_ambiguous_or_empty_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clusters.toml"
    path.write_text(CLUSTERS)
    return path


def test_first_cluster_is_the_default(file: Path) -> None:
    found = load_cluster(file)
    assert (found.name, found.partition, found.account, found.setup) == ("big", "gpu", "abc", ("module load cuda",))
    assert found.time == Duration(minutes=90)
    assert load_cluster(file, name="small") == Cluster(name="small")


def test_cluster_files_are_searched_for(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SEARCH_PATHS", (tmp_path / "none.toml", file))
    assert load_cluster().name == "big"
    monkeypatch.setattr(cluster_module, "SEARCH_PATHS", (tmp_path / "none.toml",))
    assert load_cluster() == Cluster()
    with pytest.raises(ClusterError, match="described nowhere"):
        load_cluster(name="big")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a]\npartitoin = 'x'", "did you mean partition"),
        ("[a]\npartition = 3", "wants a string, got 3"),
        ("[a]\nsetup = 'module load'", "a list of shell lines"),
        ("[a]\ntime = 01:00:00", "in quotes"),
        ("[a]\nextra = {x = [1]}", "a table of sbatch options"),
        ("partition = 'x'", r"such as \[my-cluster\]"),
        ("", "one table per cluster"),
        ("[a", "not valid TOML"),
    ],
)
def test_mistakes_in_cluster_files(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ClusterError, match=says):
        load_cluster(path)


def test_unknown_cluster_names_the_nearest(file: Path) -> None:
    with pytest.raises(ClusterError, match="did you mean small"):
        load_cluster(file, name="smal")
    with pytest.raises(ClusterError, match="cannot read"):
        load_cluster(file.with_name("absent.toml"))


def test_extra_options_win_over_ours(file: Path) -> None:
    options = _further_options(load_cluster(file), folder=Path("/runs/100%/attempts/1"), minutes=60)
    assert options["gres"] == "gpu:a100:1"
    assert options["exclusive"] is True
    assert options["no-requeue"] is True
    assert "requeue" not in options
    assert options["output"] == "/runs/100%%/attempts/1/out.log"
    assert options["signal"] == "B:USR2@90"


def test_short_jobs_are_signalled_in_their_last_quarter() -> None:
    assert _further_options(Cluster(), folder=Path("/r"), minutes=2)["signal"] == "B:USR2@30"


@pytest.mark.parametrize(("cpus", "minutes"), [(0, 1), (1, 0)])
def test_resources_have_to_be_possible(cpus: int, minutes: int) -> None:
    with pytest.raises(ValueError, match="at least one CPU"):
        Resources(cpus=cpus, gpus=0, memory_gb=0, minutes=minutes)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("CANCELLED by 1000", JobState.ENDED),
        ("CANCELLED+", JobState.ENDED),
        ("NODE_FAIL", JobState.ENDED),
        ("SUSPENDED", JobState.RUNNING),
        ("COMPLETING", JobState.RUNNING),
        ("REQUEUE_HOLD", JobState.QUEUED),
        ("SOMETHING_NEW", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
    ],
)
def test_slurm_states(text: str, state: JobState) -> None:
    assert slurm_state(text) is state


def test_variables_of_an_outer_job_are_not_inherited() -> None:
    outer = {"SLURM_JOB_ID": "1", "SLURM_CONF": "/c", "SLURM_CPU_BIND": "x", "SBATCH_QOS": "q", "PMIX_RANK": "0"}
    assert inherited_from_job({**outer, "PATH": "/bin"}) == [
        "PMIX_RANK",
        "SBATCH_QOS",
        "SLURM_CPU_BIND",
        "SLURM_JOB_ID",
    ]
    assert inherited_from_job({"SBATCH_QOS": "mine"}) == []


def test_which_refusals_are_worth_another_try() -> None:
    assert _is_transient(RuntimeError("sbatch: error: Batch job submission failed: Socket timed out on send/recv"))
    assert not _is_transient(RuntimeError("sbatch: error: Invalid account or account/partition combination specified"))


def test_choosing_a_launcher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose("auto").name == "local"
    assert choose("inline").name == "inline"
    with pytest.raises(ValueError, match="no sbatch on the PATH"):
        choose("slurm")
    with pytest.raises(ValueError, match="did you mean slurm"):
        choose("slrum")
    for program in ("sbatch", "srun"):
        script(tmp_path / program, "exit 0")
    assert choose("auto").name == "local"
    script(tmp_path / "sinfo", 'echo "sinfo: fatal: Could not establish a configuration source" >&2; exit 1')
    assert choose("auto").name == "local"
    script(tmp_path / "sinfo", 'echo "slurm_load_partitions: Unable to contact slurm controller" >&2; exit 1')
    assert choose("auto").name == "slurm"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)

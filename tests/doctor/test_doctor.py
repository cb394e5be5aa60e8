"""`multimae doctor`: what is wrong is said, with a command, and nothing else is."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from experiments.doctor.command import main
from experiments.doctor.environment import check_variables
from experiments.doctor.folders import check_folders
from experiments.doctor.scheduler import check_cluster, check_scheduler
from slurm.cluster import Cluster
from slurm.duration import Duration
from slurm.facts import Association, ClusterFacts, NodeShape, Partition
from tests.made.real_slurm import NEEDED, real_cluster

GPU = Partition(name="gpu", is_default=True, is_up=True, most_minutes=1440, grace_s=120, preempt_mode="REQUEUE")
SHAPE = NodeShape(
    partition="gpu",
    num_nodes=6,
    cpus=64,
    memory_mb=515_000,
    gpus=4,
    gpu_type="a100",
    features=frozenset({"a100"}),
    takes_jobs=True,
)
GOOD = ClusterFacts(
    version="23.02.7",
    requeues=True,
    sends_user_signal=True,
    preempts=True,
    kill_wait_s=30,
    min_job_age_s=300,
    largest_array=1000,
    accounts=True,
    enforces=True,
    partitions=(GPU,),
    shapes=(SHAPE,),
    associations=(Association(account="lab", partition="", qos=("normal",), most_jobs=20),),
    most_jobs_of_qos={},
)


def test_nothing_is_said_against_a_good_cluster() -> None:
    cluster = Cluster(account="lab", qos="normal", partition="gpu", constraint="a100", time=Duration.parse("1d"))
    findings = list(check_cluster(cluster, facts=GOOD))
    assert {finding.verdict for finding in findings} == {"well"}
    assert any("at most 20 jobs" in finding.said for finding in findings)


@pytest.mark.parametrize(
    ("settings", "facts", "verdict", "said"),
    [
        ({"account": "lob"}, {}, "wrong", "no account 'lob'; did you mean lab?"),
        ({"account": "lab", "qos": "nrmal"}, {}, "wrong", "did you mean normal?"),
        ({"partition": "gpus"}, {}, "wrong", "did you mean gpu?"),
        ({"constraint": "a200"}, {}, "wrong", "did you mean a100?"),
        ({"time": Duration.parse("2d")}, {}, "wrong", "time is 2880 min, partition gpu allows 1440"),
        ({}, {"associations": ()}, "wrong", "you have no account here"),
        ({}, {"partitions": (dataclasses.replace(GPU, is_default=False),)}, "wrong", "no partition is the default"),
        ({}, {"partitions": (dataclasses.replace(GPU, is_up=False),)}, "wrong", "partition gpu is down"),
        ({}, {"shapes": (dataclasses.replace(SHAPE, takes_jobs=False),)}, "wrong", "no node of partition gpu"),
        ({}, {"requeues": False}, "note", "JobRequeue=0"),
        ({}, {"sends_user_signal": False}, "note", "hears SIGTERM alone"),
        ({}, {"accounts": False}, "note", "forgets ended jobs after 300 s"),
        ({}, {"partitions": (dataclasses.replace(GPU, grace_s=0),)}, "note", "gives a preempted job 0 s"),
    ],
)
def test_what_does_not_meet_is_said(
    settings: Mapping[str, Any], facts: Mapping[str, Any], verdict: str, said: str
) -> None:
    findings = check_cluster(Cluster(**settings), facts=dataclasses.replace(GOOD, **facts))
    assert [finding.verdict for finding in findings if said in finding.said] == [verdict]


def test_a_machine_without_slurm_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [finding.verdict for finding in check_scheduler(Cluster())] == ["well"]


def test_a_controller_that_does_not_answer_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("sbatch", "scontrol", "sinfo"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [(finding.verdict, finding.fix) for finding in check_scheduler(Cluster())] == [("wrong", "scontrol ping")]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SLURM_CPU_BIND": "cores"}, "SLURM_CPU_BIND of a job that this shell is not in any more"),
        ({"SBATCH_PARTITION": "debug"}, "SBATCH_PARTITION=debug gives every sbatch an option"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "no GPU is seen"),
        ({"PYTHONPATH": "/home/me"}, "modules there come before"),
    ],
)
def test_variables_that_change_jobs_are_named(environ: Mapping[str, str], said: str) -> None:
    notes = [finding.said for finding in check_variables(environ) if finding.verdict == "note"]
    assert len(notes) == 1
    assert said in notes[0]


def test_variables_of_the_job_we_are_in_are_no_leak() -> None:
    findings = list(check_variables({"SLURM_JOB_ID": "7", "SLURM_CPU_BIND": "cores", "SLURM_CONF": "/etc/slurm.conf"}))
    assert [finding.verdict for finding in findings] == ["well"]


def test_folders_are_tried_and_left_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "cache"))
    findings = list(check_folders(tmp_path / "runs"))
    assert "wrong" not in {finding.verdict for finding in findings}
    assert not list(tmp_path.iterdir())


def test_a_runs_folder_that_is_a_file_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "runs").write_text("")
    wrong = [finding for finding in check_folders(tmp_path / "runs") if finding.verdict == "wrong"]
    assert len(wrong) == 1
    assert "is no folder" in wrong[0].said


def test_a_misspelt_cluster_is_a_matter_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clusters.toml").write_text("[big]\n")
    assert main(["--cluster-file", str(tmp_path / "clusters.toml"), "--cluster", "bg"]) == 2
    assert "did you mean big?" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() != 0 or NEEDED[1].args[0], reason="wants a cluster of this machine")
def test_a_real_cluster_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clusters.toml").write_text('[mini]\naccount = "tset"\npartition = "low"\n')
    command = ["--cluster-file", str(tmp_path / "clusters.toml"), "--runs-dir", str(tmp_path / "runs"), "--json"]
    with real_cluster(port=17900):
        assert main(command) == 3
        said = {finding["said"]: finding["verdict"] for finding in json.loads(capsys.readouterr().out)}
        assert said["partition low: 2 nodes, 16 CPUs and 4 GPUs at most"] == "well"
        assert [text for text, verdict in said.items() if verdict == "wrong" and "'tset'" in text]
        (tmp_path / "clusters.toml").write_text('[mini]\naccount = "test"\npartition = "low"\n')
        assert main(command) == 0

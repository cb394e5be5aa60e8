"""SlurmLauncher on a real Slurm cluster of this machine, started for these tests and torn down after them."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multimae.record.attempt import new_attempt, newest_job
from multimae.record.job import Job, JobState
from multimae.record.paths import RunDir
from multimae.record.state import run_state
from slurm import squeue
from slurm.batch import SlurmLauncher
from slurm.cluster import Cluster, Resources
from slurm.errors import SubmissionError, UnansweredError
from slurm.submission import recover, submit_attempt
from tests.made.real_slurm import NEEDED, real_cluster

ROOT = Path(__file__).parents[2]
PORT = 17500
ONE = Resources(cpus=1, gpus=1, memory_gb=1, minutes=30)

pytestmark = NEEDED


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with real_cluster(port=PORT):
        yield


@pytest.fixture
def launcher() -> SlurmLauncher:
    return SlurmLauncher(cluster=Cluster(), poll_seconds=0.0)


def wait_until(true: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", textwrap.dedent(code)]


LISTENER = python(
    """
    import signal, time
    def heard(number, frame):
        print(signal.Signals(number).name)
        if number == signal.SIGTERM:
            raise SystemExit(75)
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, heard)
    print("on")
    for _ in range(600):
        time.sleep(0.1)
    """
)


def submit(launcher: SlurmLauncher, run: Path, command: list[str], *, after: tuple[str, ...] = (), **env: str) -> str:
    job = submit_attempt(run, launcher=launcher, command=lambda _: command, resources=ONE, after=after, env=env)
    assert job.job_id is not None
    return job.job_id


def state(launcher: SlurmLauncher, job_id: str) -> JobState:
    return launcher.states([job_id])[job_id]


def log(run: Path, name: str = "out.log") -> str:
    path = RunDir(run).attempt(1) / name
    return path.read_text() if path.exists() else ""


def test_signals_reach_the_command_and_cancel_ends_it(launcher: SlurmLauncher, tmp_path: Path) -> None:
    run = tmp_path / "a run"
    job_id = submit(launcher, run, LISTENER)
    wait_until(lambda: log(run) == "on\n")
    assert state(launcher, job_id) is JobState.RUNNING
    # As Slurm itself sends it before the time limit, to the batch script.
    subprocess.run(["scancel", "--batch", "--signal=USR2", job_id], check=True)
    wait_until(lambda: log(run) == "on\nSIGUSR2\n")
    launcher.cancel([job_id])
    wait_until(lambda: state(launcher, job_id) is JobState.ENDED)
    assert log(run).startswith("on\nSIGUSR2\nSIGTERM\n")
    names = {entry.name for entry in RunDir(run).attempt(1).iterdir()}
    assert names == {"job.json", "out.log", "err.log", "submitit"}
    script = next((RunDir(run).attempt(1) / "submitit").glob("*_submission.sh")).read_text()
    for option in ("--signal=B:USR2@90", "--open-mode=append", "--requeue", f"--comment='{run}'", "--job-name='a run'"):
        assert f"#SBATCH {option}\n" in script
    assert not list((RunDir(run).attempt(1) / "submitit").glob("*.pkl"))


@pytest.mark.parametrize("name", ["%j", "%a %x", "p%20x", "r[/v2]", "a#b;c", "ä'\"$HOME"])
def test_a_runs_folder_of_any_name_is_where_the_job_writes(launcher: SlurmLauncher, tmp_path: Path, name: str) -> None:
    run = tmp_path / name / "run"
    job_id = submit(launcher, run, python("import os; print('ran')"))
    assert launcher.find([run]) == {run: job_id}
    wait_until(lambda: state(launcher, job_id) is JobState.ENDED)
    wait_until(lambda: log(run) == "ran\n")
    assert {path.name for path in tmp_path.iterdir()} == {Path(name).parts[0]}
    assert [path.name for path in (RunDir(run).attempt(1) / "submitit").iterdir()] == [f"{job_id}_submission.sh"]


def test_dependent_job_waits_and_gets_what_it_asked_for(launcher: SlurmLauncher, tmp_path: Path) -> None:
    first = submit(launcher, tmp_path / "first", python("import time; time.sleep(2); print(time.time())"))
    code = "import os, time; print(time.time(), os.environ['CUDA_VISIBLE_DEVICES'], os.environ['MINE'])"
    second = submit(launcher, tmp_path / "second", python(code), after=(first,), MINE="it's")
    assert state(launcher, second) is JobState.QUEUED
    wait_until(lambda: state(launcher, second) is JobState.ENDED)
    ended, (started, gpus, mine) = log(tmp_path / "first").strip(), log(tmp_path / "second").split()
    assert float(started) > float(ended)
    assert (gpus, mine) == ("0", "it's")


def test_failed_dependency_takes_its_dependents_out_of_the_queue(launcher: SlurmLauncher, tmp_path: Path) -> None:
    first = submit(launcher, tmp_path / "first", python("raise SystemExit('no data')"))
    second = submit(launcher, tmp_path / "second", python("print('ran')"), after=(first,))
    wait_until(lambda: state(launcher, second) is JobState.ENDED)
    assert log(tmp_path / "second") == ""
    assert run_state(tmp_path / "second", now=time.time(), job_state=JobState.ENDED).status == "vanished"
    first_state = run_state(tmp_path / "first", now=time.time(), job_state=state(launcher, first))
    assert (first_state.status, first_state.message) == ("vanished", "no data")


def test_jobs_outlive_the_driver_and_interrupted_submissions_are_recovered(
    launcher: SlurmLauncher, tmp_path: Path
) -> None:
    code = f"""
        import os
        from pathlib import Path
        from slurm.batch import SlurmLauncher
        from slurm.cluster import Cluster, Resources
        import slurm.submission as submission
        from multimae.record.job import Job
        write = Job.write
        def killed(job, path):
            if job.job_id:
                os.kill(os.getpid(), 9)
            write(job, path)
        Job.write = killed
        submission.submit_attempt(
            Path({str(tmp_path)!r}), launcher=SlurmLauncher(cluster=Cluster()), command=lambda _: {LISTENER!r},
            resources=Resources(cpus=1, gpus=0, memory_gb=1, minutes=30), env={{}})
    """
    driver = subprocess.run(python(code), cwd=ROOT, check=False)
    assert driver.returncode == -9
    wait_until(lambda: log(tmp_path) == "on\n")
    intent = newest_job(tmp_path)
    assert intent is not None
    assert intent.job_id is None
    recover([tmp_path], launcher=launcher)
    job = newest_job(tmp_path)
    assert job is not None
    assert job.job_id is not None
    assert job == dataclasses.replace(intent, job_id=job.job_id)
    assert state(launcher, job.job_id) is JobState.RUNNING
    launcher.cancel([job.job_id])


def test_requeued_job_is_queued_again(launcher: SlurmLauncher, tmp_path: Path) -> None:
    job_id = submit(launcher, tmp_path, LISTENER)
    wait_until(lambda: log(tmp_path) == "on\n")
    ending = {"kind": "preempted", "message": "", "exit_code": 75, "time": time.time()}
    (RunDir(tmp_path).attempt(1) / "exit.json").write_text(json.dumps(ending))
    subprocess.run(["scontrol", "requeue", job_id], check=True)
    seen = run_state(tmp_path, now=time.time(), job_state=state(launcher, job_id))
    assert seen.status in ("queued", "running")  # running while it is completing
    launcher.cancel([job_id])
    wait_until(lambda: state(launcher, job_id) is JobState.ENDED)


def test_refusals_say_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for cluster, says in (
        (Cluster(account="nobody"), "(?s)Invalid account.*set `account`"),
        (Cluster(partition="nowhere"), "(?s)invalid partition.*set `partition`"),
        (Cluster(extra={"gres": "gpu:a100:1"}), "(?s)not available.*change `constraint`"),
    ):
        with pytest.raises(SubmissionError, match=says):
            submit(SlurmLauncher(cluster=cluster), tmp_path, LISTENER)
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "attempts").iterdir()) == []


def test_submitting_from_inside_a_job(launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_JOB_ID": "1", "SBATCH_ACCOUNT": "nobody", "SLURM_CPU_BIND": "mask_cpu:0x1"}.items():
        monkeypatch.setenv(name, value)
    job_id = submit(launcher, tmp_path, python("import os; print(os.environ.get('SLURM_CPU_BIND'))"))
    wait_until(lambda: state(launcher, job_id) is JobState.ENDED)
    assert log(tmp_path) == "None\n"


def test_busy_controller_does_not_double_a_job(
    launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    lost = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    sbatch.write_text(f'#!/bin/sh\n/usr/bin/sbatch "$@" >/dev/null\n{lost}\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("slurm.batch._RETRY_AFTER_S", (0.2,))
    run = tmp_path / "run"
    job_id = submit(launcher, run, LISTENER)
    queue = squeue.queued_jobs() or []
    assert [job.job_id for job in queue if job.comment == str(run)] == [job_id]
    launcher.cancel([job_id])


@pytest.mark.parametrize("num_silent", [1, 2])
def test_a_question_without_an_answer_does_not_double_a_job(
    launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_silent: int
) -> None:
    """sbatch is accepted but times out, and squeue is silent when it is asked about that."""
    shims, run = tmp_path / "bin", tmp_path / "run"
    shims.mkdir()
    lost = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    write_shim(shims / "sbatch", f'echo >> {tmp_path}/submitted\n/usr/bin/sbatch "$@" >/dev/null\n{lost}')
    silent = f"echo >> {tmp_path}/asked\n[ $(wc -l < {tmp_path}/asked) -gt {num_silent} ] || exit 1"
    write_shim(shims / "squeue", f'{silent}\nexec /usr/bin/squeue "$@"')
    monkeypatch.setenv("PATH", f"{shims}:{os.environ['PATH']}")
    monkeypatch.setattr("slurm.batch._RETRY_AFTER_S", (0.2,))
    monkeypatch.setattr("slurm.batch._ASK_EVERY_S", 0.1)
    job_id = submit(launcher, run, LISTENER)
    assert [job.job_id for job in squeue.queued_jobs() or [] if job.comment == str(run)] == [job_id]
    assert (tmp_path / "submitted").read_text() == "\n"
    launcher.cancel([job_id])


def test_a_controller_that_stays_silent_ends_the_submission_but_not_what_is_known_of_it(
    launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims, run = tmp_path / "bin", tmp_path / "run"
    shims.mkdir()
    lost = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    write_shim(shims / "sbatch", f'/usr/bin/sbatch "$@" >/dev/null\n{lost}')
    write_shim(shims / "squeue", "exit 1")
    with monkeypatch.context() as silent:
        silent.setenv("PATH", f"{shims}:{os.environ['PATH']}")
        for name, seconds in {"_RETRY_AFTER_S": (0.2,), "_ASK_EVERY_S": 0.1, "ANSWERS_WITHIN_S": 0.5}.items():
            silent.setattr(f"slurm.batch.{name}", seconds)
        with pytest.raises(UnansweredError, match="nothing is submitted twice"):
            submit(launcher, run, LISTENER)
        with pytest.raises(UnansweredError):
            recover([run], launcher=launcher)
    recover([run], launcher=launcher)
    job = newest_job(run)
    assert job is not None
    assert job.attempt == 1
    assert job.job_id is not None
    launcher.cancel([job.job_id])


def write_shim(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_silent_controller_leaves_the_state_unknown(
    launcher: SlurmLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text(Path(os.environ["SLURM_CONF"]).read_text().replace("SlurmctldPort=17517", "SlurmctldPort=17999"))
    monkeypatch.setenv("SLURM_CONF", str(conf))
    monkeypatch.setattr("slurm.squeue.ANSWER_WITHIN_S", 1)
    assert state(launcher, "12345") is JobState.UNKNOWN
    job = Job(attempt=1, job_id="12345", executor="slurm", submitted=time.time(), name="run")
    job.write(new_attempt(tmp_path).files.job)
    assert run_state(tmp_path, now=time.time()).status == "queued"


def test_job_that_slurm_has_forgotten_has_ended(launcher: SlurmLauncher) -> None:
    assert state(launcher, "1") is JobState.ENDED

"""Local and inline jobs, with real processes."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from multimae.record.attempt import newest_job
from multimae.record.job import JobState
from multimae.record.paths import RunDir
from multimae.record.state import run_state
from slurm.choosing import observe
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.inline import InlineLauncher
from slurm.local import LocalLauncher
from slurm.processes import ProcessId
from slurm.submission import submit_attempt

ONE = Resources(cpus=1, gpus=0, memory_gb=0, minutes=1)
ROOT = Path(__file__).parents[2]


def wait_until(true: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", textwrap.dedent(code)]


# Prints "on" when it is ready, and what reaches it; ends with 75 as a training that was stopped.
LISTENER = python(
    """
    import signal, sys, time
    def stop(number, frame):
        print(signal.Signals(number).name)
        time.sleep(0.5)
        sys.exit(75)
    signal.signal(signal.SIGTERM, stop)
    print("on")
    print("err", file=sys.stderr)
    time.sleep(60)
    """
)


def submit(run: Path, command: list[str], *, after: tuple[str, ...] = (), **env: str) -> str:
    job = submit_attempt(
        run, launcher=LocalLauncher(), command=lambda _number: command, resources=ONE, after=after, env=env
    )
    assert job.job_id is not None
    return job.job_id


def state(job_id: str) -> JobState:
    return LocalLauncher().states([job_id])[job_id]


def test_output_is_in_files_while_the_job_runs_and_cancel_terminates_it(tmp_path: Path) -> None:
    job_id = submit(tmp_path / "run", LISTENER)
    folder = RunDir(tmp_path / "run").attempt(1)
    out, err = folder / "out.log", folder / "err.log"
    wait_until(lambda: out.exists() and out.read_text() == "on\n" and err.read_text() == "err\n")
    assert state(job_id) is JobState.RUNNING
    LocalLauncher().cancel([job_id])
    wait_until(lambda: state(job_id) is JobState.ENDED)
    assert out.read_text() == "on\nSIGTERM\n"
    assert {entry.name for entry in folder.iterdir()} == {"job.json", "out.log", "err.log"}
    LocalLauncher().cancel([job_id])  # nothing left: no error


def test_environment_of_a_job(tmp_path: Path) -> None:
    names = ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MINE"]
    job_id = submit(tmp_path, python(f"import os; print([os.environ[name] for name in {names}])"), MINE="a b")
    wait_until(lambda: state(job_id) is JobState.ENDED)
    assert (RunDir(tmp_path).attempt(1) / "out.log").read_text() == "['1', '', 'a b']\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_jobs_outlive_the_driver(tmp_path: Path, how: signal.Signals) -> None:
    code = f"""
        import time
        from pathlib import Path
        from slurm.cluster import Resources
        from slurm.local import LocalLauncher
        from slurm.submission import submit_attempt
        job = submit_attempt(Path({str(tmp_path)!r}), launcher=LocalLauncher(), command=lambda _: {LISTENER!r},
                             resources=Resources(cpus=1, gpus=0, memory_gb=0, minutes=1), env={{}})
        print(job.job_id)
        time.sleep(60)
    """
    # A session of its own stands for the terminal, which sends Ctrl-C and hang-up to the whole foreground group.
    driver = subprocess.Popen(
        python(code), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert driver.stdout is not None
    with driver:
        job_id = driver.stdout.readline().strip()
        out = RunDir(tmp_path).attempt(1) / "out.log"
        wait_until(lambda: out.exists() and out.read_text() == "on\n")
        os.killpg(driver.pid, how)
    time.sleep(0.3)
    assert state(job_id) is JobState.RUNNING
    assert out.read_text() == "on\n"
    LocalLauncher().cancel([job_id])  # by somebody who did not start it
    wait_until(lambda: state(job_id) is JobState.ENDED)
    assert out.read_text() == "on\nSIGTERM\n"


def test_killed_job_vanished(tmp_path: Path) -> None:
    submit(tmp_path, python("import os; os.kill(os.getpid(), 9)"))
    job = newest_job(tmp_path)
    assert job is not None
    assert job.job_id is not None
    job_id = job.job_id
    wait_until(lambda: observe([job], launcher=InlineLauncher())[job_id] is JobState.ENDED)
    assert run_state(tmp_path, now=time.time(), job_state=JobState.ENDED).status == "vanished"


def test_no_queue_means_dependencies_have_to_be_over(tmp_path: Path) -> None:
    first = submit(tmp_path / "a", LISTENER)
    with pytest.raises(SubmissionError, match="no queue"):
        submit(tmp_path / "b", LISTENER, after=(first,))
    assert list((tmp_path / "b" / "attempts").iterdir()) == []
    LocalLauncher().cancel([first])
    wait_until(lambda: state(first) is JobState.ENDED)
    submit(tmp_path / "b", python("pass"), after=(first,))


def test_reused_process_ids_and_other_machines() -> None:
    me = ProcessId.of(os.getpid())
    assert ProcessId.parse(str(me)) == me
    assert me.alive()
    reused = ProcessId(pid=me.pid, start="1", host=me.host)
    elsewhere = ProcessId(pid=me.pid, start=me.start, host="elsewhere")
    assert not reused.alive()
    assert state(str(reused)) is JobState.ENDED
    assert state(str(elsewhere)) is JobState.UNKNOWN


def test_a_process_keeps_its_name_when_the_clock_is_set_and_loses_it_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = ProcessId.of(child.pid)
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: booted + 3600)
    assert process.alive()
    child.communicate()
    assert not process.alive()


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the moment of booting is not read")
def test_a_clock_that_is_set_during_a_look_makes_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    process, booted = ProcessId.of(os.getpid()), psutil.boot_time()
    readings = iter([booted])
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: next(readings, booted + 3600))
    assert process.alive()


@pytest.mark.skipif(not psutil.LINUX, reason="reads /proc")
def test_ids_are_those_of_earlier_versions() -> None:
    stat = Path("/proc/self/stat").read_text()
    assert ProcessId.of(os.getpid()).start == stat.rpartition(")")[2].split()[19]
    assert state(f"{os.getpid()}.Fri_Nov_27_12:00:00_2026@{socket.gethostname()}") is JobState.UNKNOWN  # of ps on macOS


def test_an_ended_job_of_this_process_leaves_no_zombie(tmp_path: Path) -> None:
    job_id = submit(tmp_path, python("pass"))
    pid = ProcessId.parse(job_id).pid
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert state(job_id) is JobState.ENDED
    assert not psutil.pid_exists(pid)


def test_a_job_is_its_command_alone_in_a_session_without_input(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid() == os.getsid(0), sys.stdin.read() == '', len(os.listdir('/dev/fd')))"
    job_id = submit(tmp_path, python(code))
    wait_until(lambda: state(job_id) is JobState.ENDED)
    # Open are input, output, errors and the listing itself; nothing of the driver's, such as its lock.
    assert (RunDir(tmp_path).attempt(1) / "out.log").read_text() == "True True 4\n"


def test_a_command_that_cannot_start_is_refused_and_leaves_no_attempt(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"cannot start /no/python: .*No such file"):
        submit(tmp_path, ["/no/python"])
    assert list((tmp_path / "attempts").iterdir()) == []


def test_a_driver_that_ends_before_its_job_says_nothing(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from slurm.cluster import Resources
        from slurm.local import LocalLauncher
        resources = Resources(cpus=1, gpus=0, memory_gb=0, minutes=1)
        print(LocalLauncher().submit({LISTENER!r}, attempt_dir=Path({str(tmp_path)!r}), name="job",
                                     resources=resources, env={{}}))
    """
    command = [sys.executable, "-X", "dev", *python(code)[1:]]
    driver = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert driver.stderr == ""
    LocalLauncher().cancel([driver.stdout.strip()])


def test_inline_jobs_have_ended_when_submit_returns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = python("import os; print('hello from', os.environ['WHO'])")
    job = submit_attempt(
        tmp_path, launcher=InlineLauncher(), command=lambda _: command, resources=ONE, env={"WHO": "here"}
    )
    assert capfd.readouterr().out == "hello from here\n"
    assert job.job_id is not None
    assert observe([job], launcher=InlineLauncher()) == {job.job_id: JobState.ENDED}

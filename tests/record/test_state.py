"""The state of a run from its files: every precedence, and what happens when files are missing or torn."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from multimae.record.attempt import Attempt, attempts_of, new_attempt, newest_job
from multimae.record.job import Job, JobState
from multimae.record.paths import RunDir
from multimae.record.state import SILENT_AFTER_S, RunState, Status, run_state, with_dependencies

NOW = 1_000_000.0
QUEUED, RUNNING, ENDED, UNKNOWN = JobState.QUEUED, JobState.RUNNING, JobState.ENDED, JobState.UNKNOWN


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def submitted(run: Path, *, executor: str = "local", job_id: str | None = "7", age: float = 5.0) -> int:
    attempt = new_attempt(run)
    job = Job(attempt=attempt.number, job_id=job_id, executor=executor, submitted=NOW - age, name="run")
    job.write(attempt.files.job)
    return attempt.number


def write(run: Path, name: str, **record: Any) -> None:
    (attempts_of(run)[-1].folder / name).write_text(json.dumps(record))


def spool(run: Path, attempt: int, *events: dict[str, Any], torn: str = "") -> None:
    path = RunDir(run).spool(attempt)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + torn)


def heartbeat(step: int, *, age: float) -> dict[str, Any]:
    return {"kind": "progress", "time": NOW - age, "step": step, "max_steps": 100, "loss": 0.5, "eta_s": 9.0}


def status(run: Path, job_state: JobState) -> Status:
    return run_state(run, now=NOW, job_state=job_state).status


def test_attempts_are_numbered_from_one(run: Path) -> None:
    assert [new_attempt(run).number, new_attempt(run).number] == [1, 2]
    for number in (10, 3):
        RunDir(run).attempt(number).mkdir()
    assert [attempt.number for attempt in attempts_of(run)] == [1, 2, 3, 10]


def test_two_drivers_never_share_an_attempt(run: Path) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(new_attempt(run).number for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 81))


def test_job_is_read_back_and_torn_json_is_no_job(run: Path) -> None:
    assert newest_job(run) is None
    submitted(run)
    new_attempt(run)
    assert newest_job(run) == Job(attempt=1, job_id="7", executor="local", submitted=NOW - 5, name="run")
    write(run, "started.json", pid=1, host="h", time=NOW)
    RunDir(run).attempt(2).joinpath("job.json").write_text('{"attempt": 2, "jo')
    job = newest_job(run)
    assert job is not None
    assert job.attempt == 1


def test_new_run(run: Path) -> None:
    assert run_state(run, now=NOW) == RunState(status="new")
    new_attempt(run)  # a driver killed right after creating the folder
    assert run_state(run, now=NOW) == RunState(status="new")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("preempted", "preempted"),
        ("timeout", "preempted"),
        ("superseded", "vanished"),
        ("nan", "diverged"),
        ("paused", "paused"),
    ],
)
def test_own_ending_comes_before_an_ended_job(run: Path, kind: str, wanted: str) -> None:
    submitted(run)
    write(run, "exit.json", kind=kind, message="why", exit_code=1, time=NOW)
    state = run_state(run, now=NOW, job_state=ENDED)
    assert (state.status, state.kind, state.message) == (wanted, kind, "why")


def test_result_comes_before_everything(run: Path) -> None:
    submitted(run)
    write(run, "exit.json", kind="error", message="after the result", exit_code=1, time=NOW)
    (run / "result.json").write_text("{}")
    assert status(run, RUNNING) == "finished"


def test_finished_without_a_result_is_a_failure(run: Path) -> None:
    submitted(run)
    write(run, "exit.json", kind="finished", message="", exit_code=0, time=NOW)
    assert status(run, ENDED) == "failed"


def test_ending_of_an_earlier_attempt_does_not_count(run: Path) -> None:
    submitted(run)
    write(run, "exit.json", kind="error", message="", exit_code=1, time=NOW)
    submitted(run)
    assert status(run, QUEUED) == "queued"


def test_job_requeued_by_slurm_is_waiting_again(run: Path) -> None:
    submitted(run, executor="slurm")
    write(run, "exit.json", kind="preempted", message="", exit_code=75, time=NOW)
    assert status(run, QUEUED) == "queued"
    assert status(run, RUNNING) == "running"
    assert status(run, ENDED) == "preempted"
    assert new_attempt(run) == Attempt(run_dir=run, number=2)  # by the job itself, without a job.json
    write(run, "started.json", pid=1, host="n1", time=NOW)
    state = run_state(run, now=NOW, job_state=RUNNING)
    assert (state.status, state.attempt) == ("running", 2)
    assert state.job is not None
    assert state.job.job_id == "7"


def test_job_that_left_no_ending_vanished_with_its_last_words(run: Path) -> None:
    submitted(run)
    write(run, "started.json", pid=1, host="h", time=NOW - 3)
    RunDir(run).attempt(1).joinpath("err.log").write_text("Traceback\nslurmstepd: error: out of memory\n\n")
    state = run_state(run, now=NOW, job_state=ENDED)
    assert (state.status, state.kind, state.message) == ("vanished", "vanished", "slurmstepd: error: out of memory")


def test_last_files_of_a_slurm_node_may_be_late(run: Path) -> None:
    submitted(run, executor="slurm")
    assert status(run, ENDED) == "vanished"  # never started: cancelled in the queue
    write(run, "started.json", pid=1, host="n1", time=NOW - 3)
    assert status(run, ENDED) == "running"
    assert run_state(run, now=NOW + 60, job_state=ENDED).status == "vanished"


def test_without_a_scheduler_the_heartbeat_decides(run: Path) -> None:
    submitted(run)
    assert status(run, UNKNOWN) == "queued"
    spool(run, 1, heartbeat(10, age=4))
    state = run_state(run, now=NOW)
    assert (state.status, state.heartbeat_age_s) == ("running", 4.0)
    spool(run, 1, heartbeat(10, age=SILENT_AFTER_S + 1))
    assert status(run, UNKNOWN) == "vanished"
    assert status(run, RUNNING) == "running"  # suspended, say


def test_interrupted_submission(run: Path) -> None:
    submitted(run, job_id=None, age=1)
    assert status(run, UNKNOWN) == "queued"
    assert run_state(run, now=NOW + 120).status == "vanished"


def test_progress_is_the_last_whole_line_of_the_newest_spool(run: Path) -> None:
    submitted(run)
    filler = {"kind": "metrics", "time": NOW - 3, "step": 1, "values": {"x" * 100: 1.0}}
    spool(run, 9, heartbeat(10, age=9), *[filler] * 200, heartbeat(20, age=2), filler, torn='{"kind": "progress", "st')
    spool(run, 1, heartbeat(5, age=9))
    progress = run_state(run, now=NOW, job_state=RUNNING).progress
    assert progress is not None
    assert (progress.step, progress.max_steps, progress.loss, progress.images_per_s) == (20, 100, 0.5, None)


def test_waiting_attempt_shows_where_it_will_go_on_but_has_no_heartbeat(run: Path) -> None:
    submitted(run)
    spool(run, 1, heartbeat(50, age=1))
    submitted(run)
    state = run_state(run, now=NOW, job_state=QUEUED)
    assert state.progress is not None
    assert (state.status, state.progress.step, state.heartbeat_age_s) == ("queued", 50, None)


def test_a_superseded_attempt_says_nothing_about_the_run(run: Path) -> None:
    submitted(run)
    write(run, "exit.json", kind="data", message="why", exit_code=3, time=NOW)
    submitted(run)
    write(run, "exit.json", kind="superseded", message="", exit_code=1, time=NOW)
    assert run_state(run, now=NOW).text == "failed: data"


def test_what_needs_a_lost_run_is_blocked_and_blocking_spreads() -> None:
    own = {
        "first": RunState(status="failed", kind="data"),
        "second": RunState(status="queued"),
        "third": RunState(status="new"),
        "running": RunState(status="running"),
        "waiting": RunState(status="queued"),
        "ended": RunState(status="finished"),
    }
    needs = {"second": ["first"], "third": ["second"], "waiting": ["running"], "ended": ["first"]}
    found = with_dependencies(own, depends_on=needs)
    assert [found[key].status for key in own] == ["failed", "blocked", "blocked", "running", "queued", "finished"]
    assert found["second"].message == "needs first (failed: data)"
    retried = with_dependencies(own, depends_on=needs, is_lost=lambda key, state: False)
    assert retried == own


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (RunState(status="failed", kind="data"), "failed: data"),
        (RunState(status="finished", kind="finished"), "finished"),
        (RunState(status="vanished", kind="vanished"), "vanished"),
        (RunState(status="vanished", kind="superseded"), "vanished: superseded"),
        (RunState(status="preempted", kind="timeout"), "preempted: timeout"),
        (RunState(status="diverged", kind="nan"), "diverged"),
        (RunState(status="running"), "running"),
    ],
)
def test_a_state_says_itself_once(state: RunState, text: str) -> None:
    assert state.text == text

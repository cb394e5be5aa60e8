"""What a job writes survives a kill at any moment."""

import json
import math
from pathlib import Path

import pytest

from multimae.engine.failures import (
    DivergedError,
    PreemptedError,
    kind_of,
)
from multimae.record.attempt import Attempt, current_attempt
from multimae.record.endings import Exit
from multimae.record.files import write_atomically, write_json
from multimae.record.lease import SupersededError, lease_holder
from multimae.record.spool import Spool


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def torn(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, torn)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.json"]


def test_spool_lines_are_numbered_and_valid_json_even_for_nan(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool" / "1.jsonl")
    spool.metrics(step=3, values={"train/loss": math.nan, "train/lr": 0.5})
    spool.write("progress", step=3, eta_s=math.inf)
    spool.close()
    first, second = (json.loads(line) for line in (tmp_path / "spool" / "1.jsonl").read_text().splitlines())
    assert (first["seq"], first["kind"], first["values"]) == (1, "metrics", {"train/loss": None, "train/lr": 0.5})
    assert (second["seq"], second["eta_s"]) == (2, None)


def test_a_spool_without_a_path_drops_everything(tmp_path: Path) -> None:
    spool = Spool(None)
    spool.metrics(step=1, values={"a": 1.0})
    spool.close()
    assert not list(tmp_path.iterdir())


def test_a_newer_attempt_takes_the_lease_and_the_older_one_gives_up(tmp_path: Path) -> None:
    first, second = (Attempt(run_dir=tmp_path, number=number) for number in (1, 2))
    first.start()
    first.require_lease()
    second.start()
    assert lease_holder(tmp_path) == 2
    with pytest.raises(SupersededError, match="superseded by attempt 2"):
        first.require_lease()
    with pytest.raises(SupersededError):
        first.start()
    second.require_lease()


def test_a_job_requeued_by_slurm_is_a_new_attempt(tmp_path: Path) -> None:
    Attempt(run_dir=tmp_path, number=1).start()
    assert current_attempt(tmp_path, submitted=1, environ={}).number == 1
    assert current_attempt(tmp_path, submitted=1, environ={"SLURM_RESTART_COUNT": "1"}).number == 2
    assert current_attempt(tmp_path, submitted=1, environ={"SLURM_RESTART_COUNT": "2"}).number == 3


def test_an_ending_is_named_in_exit_json(tmp_path: Path) -> None:
    attempt = Attempt(run_dir=tmp_path, number=1)
    attempt.start()
    assert attempt.end(kind="preempted", message="USR2") == 75
    ending = json.loads((tmp_path / "attempts" / "1" / "exit.json").read_text())
    assert (ending["kind"], ending["message"], ending["exit_code"]) == ("preempted", "USR2", 75)


class OutOfMemoryError(RuntimeError):
    """Stands for torch's, which this test need not import."""


class DataError(Exception):
    """Stands for multimae.data.sample's."""


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (DivergedError("nan"), "nan", 1),
        (PreemptedError("USR2"), "preempted", 75),
        (MemoryError(), "host_oom", 1),
        (OutOfMemoryError("CUDA"), "gpu_oom", 1),
        (DataError("broken.png"), "data", 3),
        (OSError(28, "No space left on device"), "disk_full", 1),
        (RuntimeError("[enforce fail] . No space left on device"), "disk_full", 1),
        (RuntimeError("anything"), "error", 1),
    ],
)
def test_failures_have_a_kind_and_a_code(error: Exception, kind: str, code: int) -> None:
    assert kind_of(error) == kind
    assert Exit.of(kind_of(error), message="", time=0.0).exit_code == code


def test_the_cause_of_an_exception_names_its_kind() -> None:
    error = RuntimeError("in worker 0")
    error.__cause__ = DataError("broken.png")
    assert kind_of(error) == "data"

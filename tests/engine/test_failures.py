"""Why a training ended, told from what other software says."""

import errno
from pathlib import Path

import pytest

from multimae.engine.failures import kind_of
from multimae.record.attempt import new_attempt
from multimae.record.job import Job, JobState
from multimae.record.state import run_state

WANT_OF_MEMORY = [
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4000000000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried to allocate"),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("DataLoader worker (pid 71) is killed by signal: Killed. "),
    RuntimeError(
        "DataLoader worker (pid(s) 7) is killed by signal: Bus error. It is possible that dataloader's workers are "
        "out of shared memory. Please try to raise your shared memory limit."
    ),
    RuntimeError("unable to write to file </torch_1> ERROR: Unexpected bus error; insufficient shared memory (shm)."),
    RuntimeError("OpenCV(4.10.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 1 bytes"),
]


@pytest.mark.parametrize("error", WANT_OF_MEMORY, ids=str)
def test_a_want_of_memory_is_host_oom_whoever_says_it(error: Exception) -> None:
    assert kind_of(error) == "host_oom"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "gpu_oom"),
        (RuntimeError("CUDA error: out of memory"), "gpu_oom"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "gpu_oom"),
        (RuntimeError("PytorchStreamWriter failed: No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError("Can't write data (errno = 28, error message = 'No space left on device')"), "disk_full"),
        (OSError(errno.ENOENT, "No such file or directory"), "error"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "error"),
    ],
)  # fmt: skip
def test_other_kinds_are_told_apart(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch. Some of the", "failed", "host_oom"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "failed", "host_oom"),
        ("OSError: [Errno 28] No space left on device", "failed", "disk_full"),
        ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO NODE FAILURE ***", "vanished", "vanished"),
    ],
)  # fmt: skip
def test_a_job_that_was_killed_is_named_by_its_last_words(tmp_path: Path, words: str, status: str, kind: str) -> None:
    attempt = new_attempt(tmp_path)
    Job(attempt=1, job_id="7", executor="slurm", submitted=0.0, name="x").write(attempt.files.job)
    attempt.files.err.write_text(f"epoch 1\n{words}\n")
    state = run_state(tmp_path, now=1000.0, job_state=JobState.ENDED)
    assert (state.status, state.kind) == (status, kind)
    assert words in state.message

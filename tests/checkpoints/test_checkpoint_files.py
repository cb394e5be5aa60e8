"""Containers: what is read from them, what is refused without being run, and writing whole or not at all."""

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from multimae.checkpoints.files import read_weights, write_tensors

STATE = {"global_tokens": torch.arange(6.0).view(1, 2, 3), "encoder.0.norm1.bias": torch.ones(3)}


def same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(actual) == set(expected)
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


class RunsCode:
    """Make a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def test_the_trace_is_left_where_nothing_guards_against_it(tmp_path: Path) -> None:
    torch.save({"model": STATE, "args": RunsCode(tmp_path / "trace")}, tmp_path / "c.pth")
    torch.load(tmp_path / "c.pth", weights_only=False)
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["args", "model"])
def test_a_file_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path, place: str, zipped: bool) -> None:
    held = {"model": STATE, place: RunsCode(tmp_path / "trace")}
    torch.save(held, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"c\.pth is refused: it holds a posix\.system, .* write its weights alone"):
        read_weights(tmp_path / "c.pth")
    assert not (tmp_path / "trace").exists()


def test_a_bare_pickle_that_would_run_code_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(pickle.dumps({"model": RunsCode(tmp_path / "trace")}, protocol=2))
    with pytest.raises(ValueError, match=r"c\.pth is"):
        read_weights(tmp_path / "c.pth")
    assert not (tmp_path / "trace").exists()


def test_a_pickled_model_is_refused_by_its_class(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"it holds a torch\.nn\.modules\.linear\.Linear"):
        read_weights(tmp_path / "c.pth")


def test_reads_the_reference_s_files_with_their_arguments(tmp_path: Path) -> None:
    arguments = argparse.Namespace(lr=1e-4, in_domains=["rgb", "depth"], alphas=1.0, resume=None, tasks={"rgb"})
    extras = {"optimizer": {"state": {0: {"step": 3}}}, "epoch": "best", "scaler": {"scale": 65536.0}}
    parallel = {f"module.{name}": tensor for name, tensor in STATE.items()}
    torch.save({"model": parallel, "args": arguments, **extras}, tmp_path / "c.pth")
    same(read_weights(tmp_path / "c.pth").state, STATE)


@pytest.mark.parametrize("held", [STATE, {"model": STATE}, {"state_dict": STATE, "meta": {"epoch": 3}}], ids=list)
def test_unwraps_what_holds_the_tensors(tmp_path: Path, held: dict[str, Any]) -> None:
    torch.save(held, tmp_path / "c.pth")
    same(read_weights(tmp_path / "c.pth").state, STATE)


def test_strips_what_compiling_and_parallel_training_prefix(tmp_path: Path) -> None:
    torch.save({f"module._orig_mod.{name}": tensor for name, tensor in STATE.items()}, tmp_path / "c.pth")
    same(read_weights(tmp_path / "c.pth").state, STATE)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_writes_and_reads_the_same(tmp_path: Path, suffix: str) -> None:
    shared = {**STATE, "alias": STATE["global_tokens"], "transposed": torch.rand(3, 4).T}
    write_tensors(tmp_path / f"c{suffix}", shared)
    same(read_weights(tmp_path / f"c{suffix}").state, shared)
    assert [path.name for path in tmp_path.iterdir()] == [f"c{suffix}"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: Any, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    write_tensors(tmp_path / "c.pth", STATE)
    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_tensors(tmp_path / "c.pth", STATE)
    same(read_weights(tmp_path / "c.pth").state, STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pth"]


def test_only_known_suffixes_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in '\.ckpt': .* one of \['\.pth', '\.safetensors'\]"):
        write_tensors(tmp_path / "c.ckpt", STATE)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"c{suffix}"
    write_tensors(path, {"encoder.0.norm1.bias": torch.rand(4096)})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="is no checkpoint, damaged or cut off: copy it again"):
        read_weights(path)


@pytest.mark.parametrize(
    "content", [b"not a checkpoint", b"\x89PNG\r\n\x1a\n" + bytes(64), b"<html></html>", bytes(99)]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_foreign_file_says_so(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"c{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"c{suffix} is no checkpoint") as raised:
        read_weights(path)
    assert "weights_only" not in str(raised.value)  # no advice to read it without a guard


@pytest.mark.parametrize(
    ("held", "got"),
    [
        ({"weights": {}}, r"got the keys \['weights'\]"),
        ({"model": {}}, r"got under 'model' the keys \[\]"),
        ({"model": {"lr": 1e-3}}, r"got under 'model' the keys \['lr'\]"),
        ({"model": torch.zeros(2)}, "got under 'model' a Tensor"),
        ([torch.zeros(2)], "got a list"),
    ],
)
def test_what_holds_no_named_tensors_says_what_it_holds(tmp_path: Path, held: Any, got: str) -> None:
    torch.save(held, tmp_path / "c.pth")
    with pytest.raises(ValueError, match=rf"wanted named tensors, alone or under one of \['model', .*, {got}"):
        read_weights(tmp_path / "c.pth")


def test_safetensors_hold_other_layouts_too_and_a_missing_file_is_named(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "c.safetensors")
    same(read_weights(tmp_path / "c.safetensors").state, STATE)
    for suffix in (".pth", ".safetensors"):
        with pytest.raises(FileNotFoundError, match=rf"d{suffix}"):
            read_weights(tmp_path / f"d{suffix}")

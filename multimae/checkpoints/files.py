"""Read and write named tensors, in PyTorch's container or in safetensors; reading executes nothing."""

import argparse
import os
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SUFFIXES = (".pth", ".safetensors")
_WRAPPERS = ("model", "state_dict")
# What training in parallel and compiling put before the names of a saved model.
_SHELLS = re.compile(r"^(?:module\.|_orig_mod\.)+")


def read_tensors(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict, which may lie under `model` or `state_dict` beside other things.

    The suffix `.safetensors` says which container it is; everything else is PyTorch's. Of Python objects only
    argparse.Namespace is let in, which the reference's checkpoints hold.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # a file that is missing or may not be read says so itself
    try:
        held = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except Exception as error:  # bytes that are no checkpoint make the readers raise almost anything
        raise ValueError(f"{path} {_complaint(error)}") from error
    return {_SHELLS.sub("", name): tensor for name, tensor in _state_dict(held, path=path).items()}


def write_tensors(path: str | PathLike[str], state: Mapping[str, Tensor]) -> None:
    """Write a state dict, whole or not at all: `.pth` puts it under `model`, `.safetensors` holds nothing else."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} ends in {path.suffix!r}: a checkpoint's name ends in one of {list(SUFFIXES)}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".safetensors":
            # It refuses tensors that share memory, such as those the reference stores under two names.
            copies = {
                name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
            }
            save_file(copies, temporary, metadata={"format": "pt"})
        else:
            torch.save({"model": dict(state)}, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _unpickle(path: Path) -> Any:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _complaint(error: Exception) -> str:
    if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"is refused: it holds a {refused[1]}, and loading such an object could run anything. If you trust the "
            "file, write its weights alone where it was made: torch.save({'model': model.state_dict()}, path)"
        )
    detail = str(error).split(". ")[0] or "no more is known"  # torch goes on to advise loading it without a guard
    return f"is no checkpoint, damaged or cut off: copy it again ({type(error).__name__}: {detail})"


def _state_dict(held: Any, *, path: Path) -> Mapping[str, Tensor]:
    wrapper = next((name for name in _WRAPPERS if isinstance(held, Mapping) and name in held), None)
    state = held if wrapper is None else held[wrapper]
    if isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values()):
        return state
    where = "" if wrapper is None else f"under {wrapper!r} "
    got = f"the keys {list(state)[:5]}" if isinstance(state, Mapping) else f"a {type(state).__name__}"
    raise ValueError(
        f"{path} is no checkpoint: wanted named tensors, alone or under one of {list(_WRAPPERS)}, got {where}{got}"
    )

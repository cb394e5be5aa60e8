"""Read and write named tensors, in PyTorch's container or in safetensors; reading executes nothing."""

import argparse
import os
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimae.checkpoints.choosing import Chosen, choose
from multimae.checkpoints.reading import Which

SUFFIXES = (".pth", ".safetensors")


class _Ignored:
    """Stand in for objects beside the weights that mmengine's Runner saves, its curves and their methods."""

    def __init__(self, *_: Any) -> None:
        pass


# Beside tensors only these are let in: the arguments in the reference's checkpoints, and what mmengine's hold, of which
# nothing is built; its numbers are numpy's.
_HARMLESS = (
    argparse.Namespace,
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_Ignored, "builtins.getattr"),
    np._core.multiarray._reconstruct,
    np._core.multiarray.scalar,
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.uint32, np.int64, np.float32, np.float64)),
)


def read_tensors(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict, the one that is meant where there are several (`read_weights`)."""
    return dict(read_weights(path).state)


def read_weights(path: str | PathLike[str], *, weights: Which = "auto") -> Chosen[Tensor]:
    """Read one set of named tensors, which may lie beside other things (`multimae.checkpoints.choosing`).

    The suffix `.safetensors` says which container it is; everything else is PyTorch's. Of Python objects only harmless
    ones of known checkpoints are let in.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # a file that is missing or may not be read says so itself
    try:
        held = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except Exception as error:  # bytes that are no checkpoint make the readers raise almost anything
        raise ValueError(f"{path} {_complaint(error)}") from error
    try:
        return choose(held, weights=weights, is_tensor=lambda value: isinstance(value, Tensor))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


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
    with torch.serialization.safe_globals([*_HARMLESS]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _complaint(error: Exception) -> str:
    if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"is refused: it holds a {refused[1]}, and loading such an object could run anything. If you trust the "
            "file, write its weights alone where it was made: torch.save({'model': model.state_dict()}, path)"
        )
    detail = str(error).split(". ")[0] or "no more is known"  # torch goes on to advise loading it without a guard
    return f"is no checkpoint, damaged or cut off: copy it again ({type(error).__name__}: {detail})"

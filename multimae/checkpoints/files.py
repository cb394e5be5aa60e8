"""Read and write named tensors, in PyTorch's container or in safetensors; reading executes nothing."""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimae.checkpoints.choosing import Chosen, choose
from multimae.checkpoints.reading import Which

SUFFIXES = (".pth", ".safetensors")


class _Ignored:
    """Stand in for what lies beside the weights and is not needed: it takes anything and does nothing."""

    def __new__(cls, *_: Any) -> "_Ignored":
        return object.__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass


# What mmengine's Runner saves of its curves, under both names of numpy's module.
_CURVES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    "numpy.ndarray",
    "numpy.dtype",
)
# Beside tensors only this is let in: the arguments in the reference's checkpoints, and what is made nothing of.
_HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    *((_Ignored, name) for name in _CURVES),
]


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
    with torch.serialization.safe_globals(_HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _complaint(error: Exception) -> str:
    if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"is refused: it holds a {refused[1]}, and loading such an object could run anything. If you trust the "
            "file, write its weights alone where it was made: torch.save({'model': model.state_dict()}, path)"
        )
    detail = str(error).split(". ")[0] or "no more is known"  # torch goes on to advise loading it without a guard
    return f"is no checkpoint, damaged or cut off: copy it again ({type(error).__name__}: {detail})"

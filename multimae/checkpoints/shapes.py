"""What a file of weights says about the model it is of, without torch and without building anything of it.

A driver plans runs by it: names and shapes stand in the header of safetensors and in the pickle of PyTorch's files.
"""

import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimae.checkpoints.choosing import choose
from multimae.checkpoints.reading import Which
from multimae.tables.modalities import MODALITIES

_PATCHES, _GLOBAL_TOKENS, _INPUTS = "patch_embed.proj.weight", "global_tokens", "input_adapters."
_PREFIX_TOKENS = ("cls_token", "dist_token", "reg_token", "register_tokens")
# How PyTorch's files began before they were zip archives, and how many pickles stand before that of the tensors.
_LEGACY_MAGIC, _LEGACY_PICKLES = 0x1950A86A20F9469CFC6C, 2


@dataclass(frozen=True, kw_only=True)
class EncoderShape:
    """Say how large an encoder's patches are, in pixels of the whole image, and how many global tokens it has."""

    patch_size: int
    num_global_tokens: int


@dataclass(frozen=True)
class _Shape:
    """Stand in for a tensor."""

    sizes: tuple[int, ...]


def encoder_shape(path: Path, *, weights: Which = "auto") -> EncoderShape | None:
    """Return the shape of the encoder whose weights a file holds; None where only torch could tell.

    ValueError where the file can be read, and what is asked of it is not there.
    """
    try:
        held = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    except Exception:  # any bytes may call themselves a checkpoint; the job says what is wrong with these
        return None
    state: Mapping[str, _Shape] = choose(held, weights=weights, is_tensor=lambda value: isinstance(value, _Shape)).state
    patch_size = next((size for name, shape in state.items() if (size := _patch_size(name, shape=shape))), 0)
    if not patch_size:
        return None
    return EncoderShape(patch_size=patch_size, num_global_tokens=_num_global_tokens(state))


def _patch_size(name: str, *, shape: _Shape) -> int:
    if not name.endswith("proj.weight") or len(shape.sizes) != 4:
        return 0
    if name.endswith(_PATCHES):
        return shape.sizes[-1]
    modality = name.rpartition(_INPUTS)[2].removesuffix(".proj.weight")
    known = MODALITIES.get(modality) if _INPUTS in name else None
    return shape.sizes[-1] * known.stride_level if known else 0


def _num_global_tokens(state: Mapping[str, _Shape]) -> int:
    last_words = {name.rpartition(".")[2]: shape for name, shape in state.items()}
    names = [_GLOBAL_TOKENS] if _GLOBAL_TOKENS in last_words else _PREFIX_TOKENS
    return sum(last_words[name].sizes[1] for name in names if name in last_words)


def _safetensors(path: Path) -> dict[str, _Shape]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: _Shape(tuple(facts["shape"])) for name, facts in header.items() if name != "__metadata__"}


def _pickled(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(name) as file:
                return _ShapesAlone(file).load()
    with path.open("rb") as file:
        if _ShapesAlone(file).load() != _LEGACY_MAGIC:
            raise ValueError(f"{path} is no file of PyTorch's")
        for _ in range(_LEGACY_PICKLES):
            _ShapesAlone(file).load()
        return _ShapesAlone(file).load()


class _Nothing:
    """Stand in for every class and function that a pickle names: it takes anything and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Nothing":
        return object.__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, *_: Any) -> None:
        pass

    def append(self, *_: Any) -> None:
        pass

    extend = add = update = append


class _ShapesAlone(pickle.Unpickler):
    """Read a pickle with shapes for tensors and nothing for all other objects: it imports and calls none of them."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name.startswith("_rebuild_tensor"):
            return lambda storage, offset, sizes, *_: _Shape(tuple(sizes))
        if module == "torch._utils" and name.startswith("_rebuild_parameter"):
            return lambda tensor, *_: tensor
        return _Nothing

    def persistent_load(self, _: Any) -> None:
        return None

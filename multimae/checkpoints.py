"""Read encoder weights from checkpoints, ours and the reference's, and translate names between the two."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

BACKBONE, HEAD, DECODERS = "backbone.", "head.", "output_adapters."
_CLASS_EMB = "class_emb.weight"


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Name the parameters that were loaded, the model's that were not, the file's that were not, and the resized."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    resized: tuple[str, ...]


def load_backbone(backbone: nn.Module, path: str | PathLike[str], *, new_modalities: Sequence[str] = ()) -> LoadReport:
    """Load the encoder, global tokens and input adapters; decoders, heads and unused adapters are left out.

    Tables of positions are resized bicubically, an embedding of classes gains or loses its row for unlabelled pixels.
    `new_modalities`: inputs the checkpoint need not know; they keep their fresh weights.
    """
    saved = _encoder_state(torch.load(path, map_location="cpu", weights_only=True), path=path)
    wanted = backbone.state_dict()
    missing = tuple(name for name in wanted if name not in saved)
    _check_missing(missing, new_modalities=new_modalities, path=path, saved=saved)
    fitted = {name: _fit(saved[name], to=wanted[name], name=name) for name in wanted if name in saved}
    _check_shapes(fitted, wanted=wanted, path=path)
    backbone.load_state_dict(fitted, strict=False)
    return LoadReport(
        loaded=tuple(fitted),
        missing=missing,
        unexpected=tuple(name for name in saved if name not in wanted),
        resized=tuple(name for name in fitted if saved[name].shape != wanted[name].shape),
    )


def to_reference(state: Mapping[str, Tensor], *, task: str | None = None) -> dict[str, Tensor]:
    """Rename a pre-training or transfer model's parameters to the reference's; `task` names a transfer's head there."""
    renamed = {}
    for name, tensor in state.items():
        if name.startswith(HEAD) and task is None:
            raise ValueError(f"the reference puts {name!r} under the name of a task: pass task, such as 'semseg'")
        ours = name.removeprefix(BACKBONE) if name.startswith(BACKBONE) else name
        theirs = f"{DECODERS}{task}.{ours.removeprefix(HEAD)}" if ours.startswith(HEAD) else ours
        renamed[theirs] = tensor
        if alias := _alias(theirs):
            renamed[alias] = tensor
    return renamed


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the reference's parameters to ours, those of a pre-training or of a transfer model with one head.

    Pre-training decoders, known by their tables of positions, keep their names; anything else below
    `output_adapters` is a head's.
    """
    aliases = {_alias(name) for name in state}
    renamed = {}
    for name, tensor in state.items():
        if name in aliases:
            continue
        renamed[_our_name(name, state=state)] = tensor
    return renamed


def _our_name(name: str, *, state: Mapping[str, Tensor]) -> str:
    if not name.startswith(DECODERS):
        return BACKBONE + name
    _, task, rest = name.split(".", maxsplit=2)
    return name if f"{DECODERS}{task}.pos_emb" in state else HEAD + rest


def _alias(name: str) -> str | None:
    """Return the second name under which the reference stores a DPT head's parameter, numbered from 0, not 1."""
    for pattern, second in (
        (r"(.*\.)scratch\.layer(\d)_rn\.(.*)", "{0}scratch.layer_rn.{1}.{2}"),
        (r"(.*\.)act_(\d)_postprocess\.(.*)", "{0}act_postprocess.{1}.{2}"),
    ):
        if found := re.fullmatch(pattern, name):
            return second.format(found[1], int(found[2]) - 1, found[3])
    return None


def _encoder_state(checkpoint: Any, *, path: str | PathLike[str]) -> dict[str, Tensor]:
    """Return the encoder's part of a checkpoint under a backbone's own names."""
    if not isinstance(checkpoint, Mapping) or "model" not in checkpoint:
        held = list(checkpoint)[:5] if isinstance(checkpoint, Mapping) else type(checkpoint).__name__
        raise ValueError(
            f"{path} is no checkpoint of this project or of MultiMAE: wanted a dict with 'model', got {held}"
        )
    state: Mapping[str, Tensor] = checkpoint["model"]
    if any(name.startswith(BACKBONE) for name in state):
        return {name.removeprefix(BACKBONE): value for name, value in state.items() if name.startswith(BACKBONE)}
    return {name: value for name, value in state.items() if not name.startswith((DECODERS, HEAD))}


def _fit(saved: Tensor, *, to: Tensor, name: str) -> Tensor:
    """Resize a table of positions, or add or cut the last row of an embedding of classes."""
    if name.endswith("pos_emb") and saved.shape != to.shape and saved.shape[1] == to.shape[1]:
        return F.interpolate(saved, size=tuple(to.shape[-2:]), mode="bicubic", align_corners=False)
    if name.endswith(_CLASS_EMB) and saved.shape[1:] == to.shape[1:]:
        if len(to) == len(saved) + 1:
            return torch.cat([saved, saved.new_zeros(1, saved.shape[1])])
        if len(to) == len(saved) - 1:
            return saved[:-1]
    return saved


def _check_missing(
    missing: Sequence[str], *, new_modalities: Sequence[str], path: str | PathLike[str], saved: Mapping[str, Tensor]
) -> None:
    fresh = tuple(f"input_adapters.{name}." for name in new_modalities)
    needed = [name for name in missing if not name.startswith(fresh)]
    if needed:
        adapters = sorted({name.split(".")[1] for name in saved if name.startswith("input_adapters.")})
        raise ValueError(
            f"{path} lacks {len(needed)} of the encoder's parameters: {', '.join(needed)}. It has input adapters for "
            f"{adapters}; name an input that may start fresh in new_modalities"
        )


def _check_shapes(fitted: Mapping[str, Tensor], *, wanted: Mapping[str, Tensor], path: str | PathLike[str]) -> None:
    wrong = [
        f"{name} {tuple(tensor.shape)}, wanted {tuple(wanted[name].shape)}"
        for name, tensor in fitted.items()
        if tensor.shape != wanted[name].shape
    ]
    if wrong:
        raise ValueError(f"{path} holds an encoder of another size: {'; '.join(wrong)}")

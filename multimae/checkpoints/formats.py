"""The names of parameters: ours, those of MultiMAE's own code, those of plain ViTs (timm, MAE); translations.

Ours begin with `backbone.`, `output_adapters.` (pre-training decoders) or `head.`. The reference has no prefix for the
encoder, and puts a head below `output_adapters.<task>`. timm's layout holds an encoder of RGB alone.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from multimae.checkpoints.names import (
    BACKBONE,
    BLOCKS,
    DECODERS,
    GLOBAL_TOKENS,
    HEAD,
    RGB,
    Weights,
    adapters,
    names_below,
)
from multimae.checkpoints.vits import AFTER_ENCODER, PATCHES, from_timm, said_of
from multimae.record.nearest import unknown

_PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"multimae": ("",), "reference": (BACKBONE, HEAD, DECODERS), "timm": (GLOBAL_TOKENS, RGB, BLOCKS)}
)
# What shows a layout, wherever the model stands in what was saved: a training script's own model may hold it.
_SIGNS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "multimae": re.compile(r"(|.*?\.)backbone\.(?:encoder\.\d+\.|input_adapters\.|global_tokens$)"),
        "timm": re.compile(r"(|.*?\.)patch_embed\.proj\.weight"),
        "reference": re.compile(r"(|.*?\.)(?:encoder\.|input_adapters\.|global_tokens$)"),
    }
)
# DPT's parameters as the reference stores them a second time, counted from 0, not 1.
_ALIASES = (
    (re.compile(r"(.*\.)scratch\.layer(\d)_rn\.(.*)"), "{0}scratch.layer_rn.{1}.{2}", -1),
    (re.compile(r"(.*\.)act_(\d)_postprocess\.(.*)"), "{0}act_postprocess.{1}.{2}", -1),
)
_FIRST_NAMES = (
    (re.compile(r"(.*\.)scratch\.layer_rn\.(\d)\.(.*)"), "{0}scratch.layer{1}_rn.{2}", 1),
    (re.compile(r"(.*\.)act_postprocess\.(\d)\.(.*)"), "{0}act_{1}_postprocess.{2}", 1),
)


def as_ours(state: Mapping[str, Tensor]) -> Weights:
    """Translate parameters in any layout to ours, telling the layouts apart by their names."""
    layout = layout_of(state)
    if layout is None:
        raise ValueError(
            f"parameters {list(state)[:5]}, ... are in no known layout: wanted names below 'backbone.' (ours), below "
            f"'encoder.' (MultiMAE) or {PATCHES!r} (timm, MAE)"
        )
    roots = _roots(state, layout=layout)
    if len(roots) > 1:
        raise ValueError(
            f"it holds {len(roots)} encoders, below {' and '.join(repr(root) for root in roots)}: write the weights of "
            "the one that is meant alone"
        )
    inside = {name.removeprefix(roots[0]): tensor for name, tensor in state.items() if name.startswith(roots[0])}
    outside = tuple(name for name in state if not name.startswith(roots[0]))
    if layout == "multimae":
        return Weights(state=inside, left_out=outside)
    if layout == "reference":
        task = next(iter(_head_tasks(inside)), None)
        return Weights(state=from_reference(inside), task=task, left_out=outside)
    unused = tuple(roots[0] + name for name in inside if name.startswith(AFTER_ENCODER))
    return Weights(state=from_timm(inside), left_out=(*unused, *outside), said=tuple(said_of(inside)))


def layout_of(state: Mapping[str, Tensor]) -> str | None:
    """Name the layout that parameters are in, None for one that nobody knows."""
    return next((layout for layout in _SIGNS if _roots(state, layout=layout)), None)


def in_layout(weights: Weights, *, layout: str, task: str | None = None) -> dict[str, Tensor]:
    """Translate from our names to a layout's, without what it has `no_place_for`."""
    if layout == "reference":
        return to_reference(weights.state, task=task or weights.task)
    return to_timm(weights.state) if layout == "timm" else dict(weights.state)


def no_place_for(state: Mapping[str, Tensor], *, layout: str) -> tuple[str, ...]:
    """Return those of our names that a layout has no place for."""
    if layout not in _PLACES:
        raise ValueError(unknown("layout", layout, _PLACES))
    return tuple(name for name in state if not name.startswith(_PLACES[layout]))


def to_reference(state: Mapping[str, Tensor], *, task: str | None = None) -> dict[str, Tensor]:
    """Rename a pre-training or transfer model's parameters to the reference's; `task` names a transfer's head there.

    What is neither of the encoder nor of a decoder or head, such as the learned weights of losses, is left out.
    """
    renamed = {}
    for name, tensor in state.items():
        if name.startswith(HEAD) and task is None:
            raise ValueError(f"the reference puts {name!r} under the name of a task: pass task, such as 'semseg'")
        if not name.startswith(_PLACES["reference"]):
            continue
        theirs = f"{DECODERS}{task}.{name.removeprefix(HEAD)}" if name.startswith(HEAD) else name.removeprefix(BACKBONE)
        renamed[theirs] = tensor
        renamed[_renumbered(theirs, _ALIASES)] = tensor
    return renamed


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the reference's parameters to ours, those of a pre-training or of a transfer model with one head.

    Pre-training decoders, known by their tables of positions, keep their names; anything else below
    `output_adapters` is a head's.
    """
    heads = _head_tasks(state)
    if len(heads) > 1:
        raise ValueError(f"the parameters of {len(heads)} heads, {list(heads)}: a transfer model here has one")
    return {_our_name(_renumbered(name, _FIRST_NAMES), heads=heads): tensor for name, tensor in state.items()}


def to_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the encoder's parameters to those of timm's VisionTransformer; all else has no place there.

    The last global token, which heads read, becomes the class token, others registers; their positions are zeros. The
    result fits a model without a final norm, `VisionTransformer(..., final_norm=False, reg_tokens=num_global_tokens -
    1)`.
    """
    if f"{RGB}pos_emb" not in state:
        raise ValueError(f"timm's layout holds an encoder of RGB, but there are input adapters for {adapters(state)}")
    tokens = state[GLOBAL_TOKENS]
    # [1, dim, rows, columns] -> [1, rows * columns, dim]
    positions = state[f"{RGB}pos_emb"].flatten(2).mT
    renamed = {"cls_token": tokens[:, -1:], "reg_token": tokens[:, :-1]}
    renamed = {name: tensor for name, tensor in renamed.items() if tensor.shape[1]}
    renamed["pos_embed"] = torch.cat([torch.zeros_like(tokens), positions], dim=1)
    for name, tensor in state.items():
        if name.startswith(f"{RGB}proj."):
            renamed[f"patch_embed.{name.removeprefix(RGB)}"] = tensor
        if name.startswith(BLOCKS):
            renamed[f"blocks.{name.removeprefix(BLOCKS)}"] = tensor
    return renamed


def _our_name(name: str, *, heads: Sequence[str]) -> str:
    if not name.startswith(DECODERS):
        return BACKBONE + name
    _, task, rest = name.split(".", maxsplit=2)
    return HEAD + rest if task in heads else name


def _head_tasks(state: Mapping[str, Tensor]) -> list[str]:
    """Return the tasks of the heads among the reference's parameters."""
    return [task for task in names_below(DECODERS, state) if f"{DECODERS}{task}.pos_emb" not in state]


def _renumbered(name: str, patterns: tuple[tuple[re.Pattern[str], str, int], ...]) -> str:
    for pattern, other, step in patterns:
        if found := pattern.fullmatch(name):
            return other.format(found[1], int(found[2]) + step, found[3])
    return name


def _roots(state: Mapping[str, Tensor], *, layout: str) -> list[str]:
    """Return what stands before the names of models in a layout, '' for one that was saved alone."""
    found = (_SIGNS[layout].match(name) for name in state)
    return sorted({match[1] for match in found if match})

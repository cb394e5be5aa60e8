"""The names of parameters: ours, those of MultiMAE's own code, those of plain ViTs (timm, MAE); translations.

Ours begin with `backbone.`, `output_adapters.` (pre-training decoders) or `head.`. The reference has no prefix for the
encoder, and puts a head below `output_adapters.<task>`. timm's layout holds an encoder of RGB alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from types import MappingProxyType

import torch
from torch import Tensor

from multimae.record.nearest import unknown
from multimae.shapes import Float

BACKBONE, HEAD, DECODERS = "backbone.", "head.", "output_adapters."

_RGB = f"{BACKBONE}input_adapters.rgb."
_GLOBAL_TOKENS = f"{BACKBONE}global_tokens"
_BLOCKS = f"{BACKBONE}encoder."
_PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"multimae": ("",), "reference": (BACKBONE, HEAD, DECODERS), "timm": (_GLOBAL_TOKENS, _RGB, _BLOCKS)}
)
# A plain ViT's tokens before the patches, in its order; DeiT distils through the second, timm registers the third.
_PREFIX_TOKENS = ("cls_token", "dist_token", "reg_token")
# What plain ViTs have after the encoder. MultiMAE has no norm there, and the reference's converter drops it too.
_AFTER_ENCODER = ("norm.", "fc_norm.", "head.", "head_dist.", "pre_logits.", "mask_token", "decoder_")
# DPT's parameters as the reference stores them a second time, counted from 0, not 1.
_ALIASES = (
    (re.compile(r"(.*\.)scratch\.layer(\d)_rn\.(.*)"), "{0}scratch.layer_rn.{1}.{2}", -1),
    (re.compile(r"(.*\.)act_(\d)_postprocess\.(.*)"), "{0}act_postprocess.{1}.{2}", -1),
)
_FIRST_NAMES = (
    (re.compile(r"(.*\.)scratch\.layer_rn\.(\d)\.(.*)"), "{0}scratch.layer{1}_rn.{2}", 1),
    (re.compile(r"(.*\.)act_postprocess\.(\d)\.(.*)"), "{0}act_{1}_postprocess.{2}", 1),
)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Hold parameters under our names.

    `task`: the name under which a reference's file holds a head. `left_out`: the file's names, in its layout, that have
    no place in our models.
    """

    state: Mapping[str, Tensor]
    task: str | None = None
    left_out: tuple[str, ...] = ()


def as_ours(state: Mapping[str, Tensor]) -> Weights:
    """Translate parameters in any layout to ours, telling the layouts apart by their names."""
    if any(name.startswith(BACKBONE) for name in state):
        return Weights(state=dict(state))
    if any(name.startswith("encoder.") for name in state):
        return Weights(state=from_reference(state), task=next(iter(_head_tasks(state)), None))
    if "patch_embed.proj.weight" in state:
        left_out = tuple(name for name in state if name.startswith(_AFTER_ENCODER))
        return Weights(state=from_timm(state), left_out=left_out)
    raise ValueError(
        f"parameters {list(state)[:5]}, ... are in no known layout: wanted names below 'backbone.' (ours), below "
        "'encoder.' (MultiMAE) or 'patch_embed.proj.weight' (timm, MAE)"
    )


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

    The first global token becomes the class token, further ones registers; their positions are zeros. The result fits
    a model without a final norm, `VisionTransformer(..., final_norm=False, reg_tokens=num_global_tokens - 1)`.
    """
    if f"{_RGB}pos_emb" not in state:
        raise ValueError(f"timm's layout holds an encoder of RGB, but there are input adapters for {adapters(state)}")
    tokens = state[_GLOBAL_TOKENS]
    # [1, dim, rows, columns] -> [1, rows * columns, dim]
    positions = state[f"{_RGB}pos_emb"].flatten(2).mT
    renamed = {"cls_token": tokens[:, :1], "reg_token": tokens[:, 1:]}
    renamed = {name: tensor for name, tensor in renamed.items() if tensor.shape[1]}
    renamed["pos_embed"] = torch.cat([torch.zeros_like(tokens), positions], dim=1)
    for name, tensor in state.items():
        if name.startswith(f"{_RGB}proj."):
            renamed[f"patch_embed.{name.removeprefix(_RGB)}"] = tensor
        if name.startswith(_BLOCKS):
            renamed[f"blocks.{name.removeprefix(_BLOCKS)}"] = tensor
    return renamed


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a plain ViT's parameters to those of an encoder of RGB; a final norm, decoder and head are left out.

    Tokens before the patches become global tokens, with their positions added, as ours have none.
    """
    known = (*_PREFIX_TOKENS, "pos_embed", "patch_embed.proj.", "blocks.", *_AFTER_ENCODER)
    if unknown := [name for name in state if not name.startswith(known)]:
        raise ValueError(f"no plain ViT: MultiMAE's encoder has no place for {', '.join(unknown)}")
    if "pos_embed" not in state:
        raise ValueError("no plain ViT: it has no table of positions, 'pos_embed'")
    table = state["pos_embed"]
    tokens = torch.cat([table[:, :0], *(state[name] for name in _PREFIX_TOKENS if name in state)], dim=1)
    of_tokens, of_patches = _split_positions(table, num_tokens=tokens.shape[1])
    renamed = {_GLOBAL_TOKENS: tokens + of_tokens, f"{_RGB}pos_emb": of_patches}
    for name, tensor in state.items():
        if name.startswith("patch_embed."):
            renamed[_RGB + name.removeprefix("patch_embed.")] = tensor
        if name.startswith("blocks."):
            renamed[_BLOCKS + name.removeprefix("blocks.")] = tensor
    return renamed


def adapters(state: Mapping[str, Tensor]) -> list[str]:
    """Return the modalities that parameters under our names have input adapters for."""
    return _names_below(f"{BACKBONE}input_adapters.", state)


def decoders(state: Mapping[str, Tensor]) -> list[str]:
    """Return the outputs that parameters under our names have pre-training decoders for."""
    return _names_below(DECODERS, state)


def _our_name(name: str, *, heads: Sequence[str]) -> str:
    if not name.startswith(DECODERS):
        return BACKBONE + name
    _, task, rest = name.split(".", maxsplit=2)
    return HEAD + rest if task in heads else name


def _names_below(prefix: str, state: Mapping[str, Tensor]) -> list[str]:
    return sorted({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def _head_tasks(state: Mapping[str, Tensor]) -> list[str]:
    """Return the tasks of the heads among the reference's parameters."""
    return [task for task in _names_below(DECODERS, state) if f"{DECODERS}{task}.pos_emb" not in state]


def _renumbered(name: str, patterns: tuple[tuple[re.Pattern[str], str, int], ...]) -> str:
    for pattern, other, step in patterns:
        if found := pattern.fullmatch(name):
            return other.format(found[1], int(found[2]) + step, found[3])
    return name


def _split_positions(
    table: Float[Tensor, "1 rows dim"], *, num_tokens: int
) -> tuple[Float[Tensor, "1 tokens dim"], Float[Tensor, "1 dim side side"]]:
    """Part the positions of tokens before the patches, zeros if the table has none, from those of the patches."""
    for num_first in (num_tokens, 0):
        side = isqrt(max(0, table.shape[1] - num_first))
        if num_first + side**2 == table.shape[1]:
            # [1, side * side, dim] -> [1, dim, side, side]
            of_patches = table[:, num_first:].mT.reshape(1, -1, side, side)
            of_tokens = table[:, :num_first] if num_first else table.new_zeros(1, num_tokens, table.shape[2])
            return of_tokens, of_patches
    raise ValueError(
        f"a table of {table.shape[1]} positions for {num_tokens} tokens and a grid of patches that is no square: "
        "resize it to a square grid"
    )

"""Plain ViTs (timm, MAE, DeiT, DINO, DINOv2): which compute what our encoder computes, and their names in ours."""

import re
from collections.abc import Iterator, Mapping
from math import isqrt

import torch
from torch import Tensor

from multimae.checkpoints.names import BLOCKS, GLOBAL_TOKENS, RGB
from multimae.shapes import Float

PATCHES = "patch_embed.proj.weight"
# What plain ViTs have after the encoder. MultiMAE has no norm there, and the reference's converter drops it too.
AFTER_ENCODER = ("norm.", "fc_norm.", "head.", "head_dist.", "pre_logits.", "mask_token", "decoder_")
# A plain ViT's tokens before the patches, in its order; DeiT distils through the second, timm and DINOv2 register the
# others.
_PREFIX_TOKENS = ("cls_token", "dist_token", "reg_token", "register_tokens")
_OF_A_BLOCK = frozenset(
    f"{part}.{kind}"
    for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    for kind in ("weight", "bias")
)
# LayerScale: the names of timm and DINOv2, those of DeiT-III; and the projection whose outputs are scaled.
_SCALES = {"ls1.gamma": "attn.proj", "gamma_1": "attn.proj", "ls2.gamma": "mlp.fc2", "gamma_2": "mlp.fc2"}
_REASONS = (
    (r"rope|freqs|periods", "positions turn queries and keys (RoPE: DINOv3, EVA)"),
    (r"rel_pos|relative_position", "positions are relative, in the attention"),
    (r"norm_pre|ln_pre", "tokens are normalised before the blocks, as in CLIP"),
    (r"q_norm|k_norm", "queries and keys are normalised"),
    (r"mlp\.(w\d|w12|fc1_g|gate)", "the MLP is gated (SwiGLU: DINOv2's giant)"),
    (r"storage_tokens|bias_mask", "this is DINOv3, whose positions turn queries and keys"),
    (r"head_mix|attn\.norm|mlp\.norm", "there are more norms in a block"),
)


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a plain ViT's parameters to those of an encoder of RGB; a final norm, decoder and head are left out.

    Tokens before the patches become global tokens, with their positions added, as ours have none; the class token comes
    last, where heads read it. LayerScale is multiplied into the projections before it; a projection without a bias gets
    one of zeros. ValueError names what computes anything else than our encoder.
    """
    state = _unchunked(state)
    _refuse_others(state)
    table = state["pos_embed"]
    tokens = torch.cat([table[:, :0], *(state[name] for name in _PREFIX_TOKENS if name in state)], dim=1)
    of_tokens, of_patches = _split_positions(table, num_tokens=tokens.shape[1], names=state)
    tokens = tokens + of_tokens
    if "cls_token" in state:
        tokens = torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1)
    renamed = {GLOBAL_TOKENS: tokens, f"{RGB}pos_emb": of_patches}
    for name, tensor in state.items():
        if name.startswith("patch_embed."):
            renamed[RGB + name.removeprefix("patch_embed.")] = tensor
    if f"{RGB}proj.bias" not in renamed:
        renamed[f"{RGB}proj.bias"] = table.new_zeros(table.shape[2])
    for block, parts in _blocks(state).items():
        renamed |= {f"{BLOCKS}{block}.{name}": tensor for name, tensor in _plain(parts).items()}
    return renamed


def said_of(state: Mapping[str, Tensor]) -> Iterator[str]:
    """Say what `from_timm` changes about a plain ViT, beyond names."""
    parts = _blocks(_unchunked(state))
    if scaled := [block for block, own in parts.items() if any(name in own for name in _SCALES)]:
        yield f"LayerScale of {len(scaled)} blocks: folded into attn.proj and mlp.fc2"
    if without := [block for block, own in parts.items() if "attn.qkv.bias" not in own]:
        yield f"attn.qkv of {len(without)} blocks has no bias: zeros"
    if "patch_embed.proj.bias" not in state:
        yield "patch_embed.proj has no bias: zeros"
    tokens = {name: state[name].shape[1] for name in _PREFIX_TOKENS if name in state}
    if sum(tokens.values()) > 1:
        yield "global tokens: " + ", ".join(f"{name} ({count})" for name, count in tokens.items())


def _unchunked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Number blocks as one list, which DINOv2 cuts into several for sharded training."""
    return {re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", name): tensor for name, tensor in state.items()}


def _blocks(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    blocks: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, block, own = name.split(".", maxsplit=2)
            blocks.setdefault(block, {})[own] = tensor
    return blocks


def _plain(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a block's parameters without LayerScale, which multiplies what a projection makes."""
    plain = {name: tensor for name, tensor in parts.items() if name not in _SCALES}
    for name, projection in _SCALES.items():
        if name in parts:
            gamma = parts[name].float()
            plain[f"{projection}.weight"] = plain[f"{projection}.weight"].float() * gamma[:, None]
            plain[f"{projection}.bias"] = plain[f"{projection}.bias"].float() * gamma
    if "attn.qkv.weight" in plain and "attn.qkv.bias" not in plain:
        plain["attn.qkv.bias"] = plain["attn.qkv.weight"].new_zeros(len(plain["attn.qkv.weight"]))
    return plain


def _refuse_others(state: Mapping[str, Tensor]) -> None:
    """Raise ValueError for a ViT that computes anything else than our encoder could."""
    known = (*_PREFIX_TOKENS, "pos_embed", "patch_embed.proj.", "blocks.", *AFTER_ENCODER)
    others = [name for name in state if not name.startswith(known)]
    for block, parts in _blocks(state).items():
        others += [f"blocks.{block}.{name}" for name in parts if name not in _OF_A_BLOCK and name not in _SCALES]
    if others:
        found = (reason for pattern, reason in _REASONS if any(re.search(pattern, name) for name in others))
        reasons = "; ".join(dict.fromkeys(found))
        shown = ", ".join([*others[:6], *([f"and {len(others) - 6} more"] if len(others) > 6 else [])])
        raise ValueError(
            f"no plain ViT: MultiMAE's encoder has no place for {shown}{f' ({reasons})' if reasons else ''}; it would "
            "compute something else"
        )
    if "pos_embed" not in state or state["pos_embed"].ndim != 3:
        raise ValueError(
            "no plain ViT: it has no table of positions, 'pos_embed' [1, tokens, dim]; one whose positions turn "
            "queries and keys (RoPE: DINOv3, EVA) or are relative computes something else"
        )
    for block, parts in _blocks(state).items():
        shapes = [parts[name].shape for name in ("mlp.fc1.weight", "mlp.fc2.weight") if name in parts]
        if len(shapes) == 2 and shapes[0][0] != shapes[1][1]:
            raise ValueError(
                f"no plain ViT: the MLP of block {block} is gated (SwiGLU), as fc1 makes {shapes[0][0]} values and fc2 "
                f"takes {shapes[1][1]}; MultiMAE's encoder would compute something else"
            )


def _split_positions(
    table: Float[Tensor, "1 rows dim"], *, num_tokens: int, names: Mapping[str, Tensor]
) -> tuple[Float[Tensor, "1 tokens dim"], Float[Tensor, "1 dim side side"]]:
    """Part the positions of tokens before the patches from those of the patches.

    The table has positions for all such tokens, for none, or for the class token alone, which is DINOv2's way.
    """
    counts = {int("cls_token" in names)} if "register_tokens" in names else {num_tokens, 0}
    fitting = {count: isqrt(table.shape[1] - count) for count in counts if _is_square(table.shape[1] - count)}
    if len(fitting) != 1:
        problem = "a grid of patches that is no square: resize it to a square grid"
        if fitting:
            problem = f"grids of {' or '.join(f'{side}x{side}' for side in fitting.values())}: it does not say which"
        raise ValueError(f"a table of {table.shape[1]} positions for {num_tokens} tokens and {problem}")
    ((num_first, side),) = fitting.items()
    # [1, side * side, dim] -> [1, dim, side, side]
    of_patches = table[:, num_first:].mT.reshape(1, -1, side, side)
    rest = table.new_zeros(1, num_tokens - num_first, table.shape[2])
    return torch.cat([table[:, :num_first], rest], dim=1), of_patches


def _is_square(number: int) -> bool:
    return number > 0 and isqrt(number) ** 2 == number

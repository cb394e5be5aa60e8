"""How a model must be built to hold the weights of a file: what their shapes say."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from multimae.checkpoints.names import BLOCKS, GLOBAL_TOKENS, INPUTS
from multimae.record.nearest import unknown
from multimae.tables.modalities import MODALITIES, modality
from multimae.tables.sizes import SIZES

# Shapes do not say how attention is cut into heads. Every published ViT of these widths has as many, with one
# exception: MoCo v3 cuts the 384 of its small one into 12.
_HEADS: Mapping[int, int] = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1536: 24}


def settings_of(
    state: Mapping[str, Tensor], *, modalities: Sequence[str] | None = None, num_heads: int | None = None
) -> dict[str, Any]:
    """Return the settings of the `MultiMAE` whose parameters these are, under our names.

    `modalities`: those to build of the adapters there are, by default all, in their order.
    """
    tokens = state.get(GLOBAL_TOKENS)
    if tokens is None or f"{BLOCKS}0.mlp.fc1.weight" not in state:
        raise ValueError(f"they are not of an encoder: {len(state)} parameters, but no global tokens or no blocks")
    there = _adapters(state)
    if not there:
        raise ValueError("they hold no input adapter of a known modality")
    chosen = tuple(there if modalities is None else modalities)
    dim = tokens.shape[2]
    depth = len({name.removeprefix(BLOCKS).split(".")[0] for name in state if name.startswith(BLOCKS)})
    first = next((name for name in chosen if name in there), there[0])
    weight, table = state[f"{INPUTS}{first}.proj.weight"], state[f"{INPUTS}{first}.pos_emb"]
    patch_size = weight.shape[-1] * modality(first).stride_level
    return {
        "modalities": chosen,
        "image_size": table.shape[-1] * patch_size,
        "patch_size": patch_size,
        "dim": dim,
        "depth": depth,
        "num_heads": num_heads or _num_heads(dim, depth=depth),
        "mlp_ratio": len(state[f"{BLOCKS}0.mlp.fc1.weight"]) / dim,
        "num_global_tokens": tokens.shape[1],
        **_classes(state),
    }


def _adapters(state: Mapping[str, Tensor]) -> list[str]:
    """Return the modalities that there are adapters for, in the order of the file."""
    named = (name.removeprefix(INPUTS).split(".")[0] for name in state if name.startswith(INPUTS))
    found = list(dict.fromkeys(named))
    if strange := [name for name in found if name not in MODALITIES]:
        raise ValueError(unknown("modality", strange[0], MODALITIES))
    return found


def _num_heads(dim: int, *, depth: int) -> int:
    ours = {(size.dim, size.depth): size.num_heads for size in SIZES.values()}
    found = ours.get((dim, depth)) or _HEADS.get(dim)
    if found is None:
        raise ValueError(f"weights of width {dim} do not say into how many heads attention is cut: pass num_heads")
    return found


def _classes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of label adapters; a last row of zeros is that of unlabelled pixels, which is not trained."""
    embedding = state.get(f"{INPUTS}semseg.class_emb.weight")
    if embedding is None:
        other = state.get(f"{INPUTS}pseudo_semseg.class_emb.weight")
        return {} if other is None else {"dim_class_emb": other.shape[1]}
    padded = not embedding[-1].any()
    return {
        "num_semseg_classes": len(embedding) - int(padded),
        "semseg_padding": "extra_class" if padded else "none",
        "dim_class_emb": embedding.shape[1],
    }

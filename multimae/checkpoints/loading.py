"""Load weights from checkpoints, ours, MultiMAE's, MAE's and timm's, into models; export them to other layouts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints.files import read_tensors, write_tensors
from multimae.checkpoints.formats import (
    BACKBONE,
    DECODERS,
    HEAD,
    Weights,
    adapters,
    as_ours,
    decoders,
    in_layout,
    no_place_for,
)
from multimae.tables.modalities import MODALITIES

_CLASS_EMB = "class_emb.weight"
# Learned while training but no part of the model: a checkpoint need not have them.
_LOSS_WEIGHTS = "log_variances."
_MAX_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Name the parameters that were loaded, the model's that were not, the file's that were not, and the resized."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    resized: tuple[str, ...]

    def __str__(self) -> str:
        counts = (
            f"loaded {len(self.loaded)} parameters, {len(self.resized)} of them resized; {len(self.missing)} of the "
            f"model's stay fresh, {len(self.unexpected)} of the file's are not used"
        )
        named = {"loaded": self.loaded, "resized": self.resized, "fresh": self.missing, "not used": self.unexpected}
        return "\n".join([counts, *(f"  {kind}: {_abbreviated(names)}" for kind, names in named.items() if names)])


def load_backbone(backbone: nn.Module, path: str | PathLike[str], *, new_modalities: Sequence[str] = ()) -> LoadReport:
    """Load the encoder, global tokens and input adapters; decoders, heads and unused adapters are left out.

    Tables of positions are resized bicubically, an embedding of classes gains or loses its row for unlabelled pixels.
    An adapter the checkpoint lacks starts from the one its modality names (`starts_as`) if that is of as many classes.
    `new_modalities`: inputs the checkpoint need not know; they keep their fresh weights. Plain ViTs know RGB alone.
    `path`: .pth or .safetensors in MultiMAE's, MAE's or timm's layout; nothing in it is executed. ValueError says which
    parameters are missing, surplus or of another shape.
    """
    weights = _read(path)
    saved = {name.removeprefix(BACKBONE): tensor for name, tensor in weights.state.items() if name.startswith(BACKBONE)}
    fresh = tuple(f"input_adapters.{name}." for name in new_modalities)
    return _load(backbone, saved=saved, weights=weights, path=path, may_be_fresh=lambda name: name.startswith(fresh))


def load_model(
    model: nn.Module,
    path: str | PathLike[str],
    *,
    new_modalities: Sequence[str] = (),
    new_outputs: Sequence[str] = (),
) -> LoadReport:
    """Load a whole pre-training or transfer model, decoders or head included; for the rest see `load_backbone`.

    `new_outputs`: outputs whose decoders the checkpoint need not have. ValueError as in `load_backbone`.
    """
    weights = _read(path)
    fresh = (
        *(f"{BACKBONE}input_adapters.{name}." for name in new_modalities),
        *(f"{DECODERS}{name}." for name in new_outputs),
        _LOSS_WEIGHTS,
    )
    embeddings = tuple(f".task_embeddings.{name}" for name in new_modalities)
    return _load(
        model,
        saved=weights.state,
        weights=weights,
        path=path,
        may_be_fresh=lambda name: name.startswith(fresh) or name.endswith(embeddings),
    )


def export_checkpoint(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    layout: str = "multimae",
    task: str | None = None,
) -> tuple[str, ...]:
    """Write a checkpoint's weights in a layout; return our names of those that it has no place for.

    `layout`: "multimae" (ours), "reference" or "timm", which holds the encoder of RGB alone. The target's suffix,
    `.pth` or `.safetensors`, says which container. `task` names a head in the reference's layout, where the source
    does not.
    """
    weights = _read(source)
    left_out = no_place_for(weights.state, layout=layout)
    write_tensors(target, in_layout(weights, layout=layout, task=task))
    return left_out


def _read(path: str | PathLike[str]) -> Weights:
    state = read_tensors(path)
    try:
        return as_ours(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _load(
    module: nn.Module,
    *,
    saved: Mapping[str, Tensor],
    weights: Weights,
    path: str | PathLike[str],
    may_be_fresh: Callable[[str], bool],
) -> LoadReport:
    wanted = module.state_dict()
    saved = _with_starts(saved, wanted=wanted)
    missing = tuple(name for name in wanted if name not in saved)
    unexpected = tuple(name for name in saved if name not in wanted)
    _check_names(missing, unexpected=unexpected, may_be_fresh=may_be_fresh, weights=weights, path=path)
    fitted = {name: _fit(saved[name], to=wanted[name], name=name) for name in wanted if name in saved}
    _check_shapes(fitted, wanted=wanted, path=path)
    module.load_state_dict(fitted, strict=False)
    return LoadReport(
        loaded=tuple(fitted),
        missing=missing,
        unexpected=(*unexpected, *weights.left_out),
        resized=tuple(name for name in fitted if saved[name].shape != wanted[name].shape),
    )


def _with_starts(saved: Mapping[str, Tensor], *, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give adapters the checkpoint lacks the weights they start from; what serves as a start counts as used."""
    given = dict(saved)
    for facts in MODALITIES.values():
        own, other = (f"input_adapters.{name}." for name in (facts.name, facts.starts_as))
        asked = [name for name in wanted if own in name]
        if not facts.starts_as or not asked or not _same_classes(saved, adapter=other, num_classes=facts.num_classes):
            continue
        if any(own in name for name in saved):
            continue
        given |= {name: saved[name.replace(own, other)] for name in asked}
        given = {name: tensor for name, tensor in given.items() if name in wanted or other not in name}
    return given


def _same_classes(saved: Mapping[str, Tensor], *, adapter: str, num_classes: int) -> bool:
    """Say whether a file holds an adapter of labels of so many classes, with or without a row for unlabelled pixels."""
    return any(
        name.endswith(f"{adapter}{_CLASS_EMB}") and len(tensor) in (num_classes, num_classes + 1)
        for name, tensor in saved.items()
    )


def _fit(saved: Tensor, *, to: Tensor, name: str) -> Tensor:
    """Resize a table of positions, or add or cut the last row of an embedding of classes."""
    if name.endswith("pos_emb") and saved.shape != to.shape and saved.shape[1] == to.shape[1]:
        return F.interpolate(saved.float(), size=tuple(to.shape[-2:]), mode="bicubic", align_corners=False)
    if name.endswith(_CLASS_EMB) and saved.shape[1:] == to.shape[1:]:
        if len(to) == len(saved) + 1:
            return torch.cat([saved, saved.new_zeros(1, saved.shape[1])])
        if len(to) == len(saved) - 1:
            return saved[:-1]
    return saved


def _check_names(
    missing: Sequence[str],
    *,
    unexpected: Sequence[str],
    may_be_fresh: Callable[[str], bool],
    weights: Weights,
    path: str | PathLike[str],
) -> None:
    """Refuse a file that lacks what must not start fresh, or whose encoder has more than the model's."""
    if needed := [name for name in missing if not may_be_fresh(name)]:
        raise ValueError(
            f"{path} lacks {len(needed)} of the model's parameters: {_abbreviated(needed)}. It holds "
            f"{_contents(weights.state)}: build the model with these, or name inputs that may start fresh in "
            "new_modalities, and decoders in load_model's new_outputs; load_backbone needs neither decoders nor a head"
        )
    if extra := [name for name in unexpected if name.removeprefix(BACKBONE).startswith("encoder.")]:
        raise ValueError(
            f"{path} holds an encoder with {len(extra)} parameters more than the model's: {_abbreviated(extra)}. It "
            f"holds {_contents(weights.state)}: build the model with as many"
        )


def _contents(state: Mapping[str, Tensor]) -> str:
    blocks = {found[1] for name in state if (found := re.match(rf"{BACKBONE}encoder\.(\d+)\.", name))}
    head = "a head" if any(name.startswith(HEAD) for name in state) else "no head"
    return f"{len(blocks)} blocks, input adapters for {adapters(state)}, decoders for {decoders(state)} and {head}"


def _check_shapes(fitted: Mapping[str, Tensor], *, wanted: Mapping[str, Tensor], path: str | PathLike[str]) -> None:
    wrong = [
        f"{name} {tuple(tensor.shape)}, wanted {tuple(wanted[name].shape)}"
        for name, tensor in fitted.items()
        if tensor.shape != wanted[name].shape
    ]
    if wrong:
        shown = "; ".join(wrong[:_MAX_SHOWN])
        raise ValueError(
            f"{path} holds a model of another size, {len(wrong)} parameters differ: {shown}. Build the model with the "
            "checkpoint's sizes"
        )


def _abbreviated(names: Sequence[str]) -> str:
    """Count names by the part of the model they belong to; a part with one name is named whole."""
    parts: dict[str, list[str]] = {}
    for name in names:
        part = re.match(rf"(?:{BACKBONE})?(?:(?:input|output)_adapters\.)?[^.]+", name)
        parts.setdefault(part[0] if part else name, []).append(name)
    shown = [_summary(part, of_part) for part, of_part in parts.items()]
    more = [f"and {len(shown) - _MAX_SHOWN} more"] if len(shown) > _MAX_SHOWN else []
    return ", ".join([*shown[:_MAX_SHOWN], *more])


def _summary(part: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    numbers = {name.removeprefix(f"{part}.").split(".")[0] for name in names if part.endswith("encoder")}
    blocks = sorted(int(number) for number in numbers if number.isdigit())
    span = f".{{{blocks[0]}..{blocks[-1]}}}" if len(blocks) > 1 else f".{blocks[0]}" if blocks else ""
    return f"{part}{span}.* ({len(names)})"

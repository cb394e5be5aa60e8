"""Load weights from checkpoints, ours, MultiMAE's, MAE's and timm's, into models; export them to other layouts."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints import pixels as pixels_of
from multimae.checkpoints.files import read_weights, write_tensors
from multimae.checkpoints.formats import as_ours, in_layout, no_place_for
from multimae.checkpoints.locating import located
from multimae.checkpoints.names import BACKBONE, DECODERS, HEAD, INPUTS, Weights, adapters, decoders
from multimae.checkpoints.reading import Reading, Which
from multimae.checkpoints.report import MAX_SHOWN, LoadReport, abbreviated
from multimae.tables.modalities import MODALITIES

_CLASS_EMB = "class_emb.weight"
# Learned while training but no part of the model: a checkpoint need not have them.
_LOSS_WEIGHTS = "log_variances."
_USUAL_PATCH = 16


def load_backbone(
    backbone: nn.Module,
    path: str | PathLike[str],
    *,
    new_modalities: Sequence[str] = (),
    weights: Which = "auto",
    pixels: str = "auto",
    prefix: str = "",
) -> LoadReport:
    """Load the encoder, global tokens and input adapters; decoders, heads and unused adapters are left out.

    Tables of positions are resized bicubically, an embedding of classes gains or loses its row for unlabelled pixels.
    An adapter the checkpoint lacks starts from the one its modality names (`starts_as`) if that is of as many classes.
    `new_modalities`: inputs the checkpoint need not know; they keep their fresh weights. Plain ViTs know RGB alone;
    LayerScale is folded into their projections, class token and registers become global tokens.
    `path`: .pth or .safetensors in MultiMAE's, MAE's or timm's layout, or a name that `multimae weights ls` lists;
    nothing in it is executed. `weights`: where a file holds both, "model" takes those that were trained, "ema" their
    average, "auto" the average. `pixels`: how RGB was normalised for them, a name of `NORMALISATIONS`; "auto" asks
    timm's config.json beside model.safetensors, else "imagenet". `prefix`: what the names that are meant begin with.
    ValueError says which parameters are missing, surplus, of another shape, or no finite numbers.
    """
    read = read_file(path, reading=Reading(weights=weights, pixels=pixels, prefix=prefix))
    return load_read(backbone, read, path=path, new_modalities=new_modalities)


def load_read(
    backbone: nn.Module, weights: Weights, *, path: str | PathLike[str], new_modalities: Sequence[str] = ()
) -> LoadReport:
    """Load what `read_file` has read, as `load_backbone` does."""
    saved = {name.removeprefix(BACKBONE): tensor for name, tensor in weights.state.items() if name.startswith(BACKBONE)}
    fresh = tuple(f"input_adapters.{name}." for name in new_modalities)
    return _load(backbone, saved=saved, weights=weights, path=path, may_be_fresh=lambda name: name.startswith(fresh))


def load_model(
    model: nn.Module,
    path: str | PathLike[str],
    *,
    new_modalities: Sequence[str] = (),
    new_outputs: Sequence[str] = (),
    weights: Which = "auto",
    pixels: str = "auto",
    prefix: str = "",
) -> LoadReport:
    """Load a whole pre-training or transfer model, decoders or head included; for the rest see `load_backbone`.

    `new_outputs`: outputs whose decoders the checkpoint need not have. ValueError as in `load_backbone`.
    """
    read = read_file(path, reading=Reading(weights=weights, pixels=pixels, prefix=prefix))
    fresh = (
        *(f"{BACKBONE}input_adapters.{name}." for name in new_modalities),
        *(f"{DECODERS}{name}." for name in new_outputs),
        _LOSS_WEIGHTS,
    )
    embeddings = tuple(f".task_embeddings.{name}" for name in new_modalities)
    return _load(
        model,
        saved=read.state,
        weights=read,
        path=path,
        may_be_fresh=lambda name: name.startswith(fresh) or name.endswith(embeddings),
    )


def load_head(
    head: nn.Module, path: str | PathLike[str], *, weights: Which = "auto", pixels: str = "auto", prefix: str = HEAD
) -> LoadReport:
    """Load a head from a transfer model's file, or from what is named `prefix` in any; all of it must be there."""
    if prefix == HEAD:
        read = read_file(path, reading=Reading(weights=weights, pixels=pixels))
        saved = {name.removeprefix(HEAD): tensor for name, tensor in read.state.items() if name.startswith(HEAD)}
    else:
        saved = dict(_below(read_weights(located(path), weights=weights).state, prefix=prefix))
        read = Weights(state=saved)
    return _load(head, saved=saved, weights=read, path=path, may_be_fresh=lambda name: False)


def export_checkpoint(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    layout: str = "multimae",
    task: str | None = None,
    weights: Which = "auto",
    pixels: str = "auto",
    say: Callable[[str], object] = lambda line: None,
) -> tuple[str, ...]:
    """Write a checkpoint's weights in a layout; return our names of those that it has no place for.

    `layout`: "multimae" (ours), "reference" or "timm", which holds the encoder of RGB alone. The target's suffix,
    `.pth` or `.safetensors`, says which container. `task` names a head in the reference's layout, where the source
    does not. `weights`, `pixels`: as in `load_backbone`; `say` is told what they do.
    """
    read = read_file(source, reading=Reading(weights=weights, pixels=pixels))
    _check_finite(read.state, path=source)
    left_out = no_place_for(read.state, layout=layout)
    write_tensors(target, in_layout(read, layout=layout, task=task))
    for line in read.said:
        say(line)
    return left_out


def read_file(path: str | PathLike[str], *, reading: Reading) -> Weights:
    """Read one set of weights under our names; a published name is downloaded if need be."""
    file = located(path)
    reading = reading.of(file)
    chosen = read_weights(file, weights=reading.weights)
    try:
        found = as_ours(_below(chosen.state, prefix=reading.prefix))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    said = (*_unless_empty(chosen.said), *found.said, *pixels_of.said_of(found.state, pixels=reading.pixels))
    return Weights(
        state=pixels_of.folded(found.state, pixels=reading.pixels),
        task=found.task,
        left_out=(*found.left_out, *chosen.left_out),
        said=(*said, *_patches(found.state)),
    )


def _below(state: Mapping[str, Tensor], *, prefix: str) -> Mapping[str, Tensor]:
    if not prefix:
        return state
    prefix = f"{prefix.rstrip('.')}."
    below = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not below:
        raise ValueError(f"nothing in it is named {prefix}*: it holds {abbreviated(list(state))}")
    return below


def _unless_empty(line: str) -> tuple[str, ...]:
    return (line,) if line else ()


def _patches(state: Mapping[str, Tensor]) -> Iterator[str]:
    size = patch_size_of(state)
    if size and size != _USUAL_PATCH:
        yield f"patches of {size} pixels"


def patch_size_of(state: Mapping[str, Tensor]) -> int:
    """Return the patch size of weights under our names, in pixels of the whole image; 0 without input adapters."""
    for name in adapters(state):
        weight = state.get(f"{INPUTS}{name}.proj.weight")
        if weight is not None and weight.ndim == 4 and name in MODALITIES:
            return weight.shape[-1] * MODALITIES[name].stride_level
    return 0


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
    _check_finite(fitted, path=path)
    module.load_state_dict(fitted, strict=False)
    return LoadReport(
        loaded=tuple(fitted),
        missing=missing,
        unexpected=(*unexpected, *weights.left_out),
        resized=tuple(name for name in fitted if saved[name].shape != wanted[name].shape),
        said=weights.said,
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
            f"{path} lacks {len(needed)} of the model's parameters: {abbreviated(needed)}. It holds "
            f"{_contents(weights.state)}: build the model with these, or name inputs that may start fresh in "
            "new_modalities, and decoders in load_model's new_outputs; load_backbone needs neither decoders nor a head"
        )
    if extra := [name for name in unexpected if name.removeprefix(BACKBONE).startswith("encoder.")]:
        raise ValueError(
            f"{path} holds an encoder with {len(extra)} parameters more than the model's: {abbreviated(extra)}. It "
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
        shown = "; ".join(wrong[:MAX_SHOWN])
        raise ValueError(
            f"{path} holds a model of another size, {len(wrong)} parameters differ: {shown}. Build the model with the "
            "checkpoint's sizes"
        )


def _check_finite(state: Mapping[str, Tensor], *, path: str | PathLike[str]) -> None:
    """Refuse weights that are no numbers: a training from them would diverge at its first step."""
    counts = {name: int((~torch.isfinite(tensor)).sum()) for name, tensor in state.items()}
    broken = {name: count for name, count in counts.items() if count}
    if broken:
        shown = ", ".join(f"{name} ({count} of {state[name].numel()})" for name, count in [*broken.items()][:MAX_SHOWN])
        more = f", and {len(broken) - MAX_SHOWN} more" if len(broken) > MAX_SHOWN else ""
        raise ValueError(
            f"{path} holds weights that are not finite (NaN or infinite) in {len(broken)} of {len(state)} parameters: "
            f"{shown}{more}. The training that made it diverged, or it was damaged: take an earlier checkpoint"
        )

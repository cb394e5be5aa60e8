"""Image-like tensors that know how they are resized and flipped, so that one set of draws moves all of them.

`torchvision.transforms.v2.functional` looks the operation up by the tensor's class. Pixels are counted from their
centres everywhere: torchvision's own nearest resizing of masks counts from corners, which shifts labels against the
image by up to half a pixel of the smaller of the two.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from multimae.data.decode import kind_of
from multimae.data.spec import DatasetSpec
from multimae.shapes import Float

Maps = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Hold one decoded sample: per modality [channels, height, width], in the codes of the files.

    `available`, if samples may lack modalities, says which of the maps are real. `label` is the number of its class.
    """

    name: str
    spec: DatasetSpec
    maps: Mapping[str, Tensor]
    available: Mapping[str, bool] | None = None
    label: int | None = None

    @property
    def height_width(self) -> tuple[int, int]:
        height, width = next(iter(self.maps.values())).shape[-2:]
        return height, width


class NearestMap(tv_tensors.Mask):  # type: ignore[misc]
    """Values that must not be mixed: labels, validity, measured depth."""


class NormalMap(NearestMap):
    """Surface normals as stored: round((n + 1) * 127.5), (0, 0, 0) = missing. Mirroring turns their x around."""


class SmoothDepth(NearestMap):
    """Depth resized bicubically, as the reference does in pre-training; 0 = invalid stays 0."""


def to_maps(sample: Sample, *, names: Sequence[str], depth: Literal["nearest", "bicubic"] = "nearest") -> Maps:
    """Wrap the named maps, and `mask_valid` with depth where the sample has it, each in the class that fits it."""
    wanted = [*names, "mask_valid"] if "depth" in names and "mask_valid" in sample.maps else list(names)
    if missing := [name for name in wanted if name not in sample.maps]:
        raise KeyError(f"the pipeline wants {missing}, sample {sample.name!r} has {sorted(sample.maps)}; read them too")
    return {name: _wrap(sample.maps[name], name, depth) for name in dict.fromkeys(wanted)}


def _wrap(stored: Tensor, name: str, depth: Literal["nearest", "bicubic"]) -> Tensor:
    wrapped: Tensor
    kind = kind_of(name)
    if kind == "image":
        wrapped = tv_tensors.Image(stored)
    elif kind == "depth":
        # torch does little with the 16 bits of the file; float32 holds every millimetre exactly.
        wrapped = {"nearest": NearestMap, "bicubic": SmoothDepth}[depth](stored.float())
    elif kind == "domain":
        wrapped = NearestMap(stored.float())
    else:
        wrapped = (NormalMap if kind == "normals" else NearestMap)(stored)
    return wrapped


def _resize_nearest(map_: Tensor, size: Sequence[int], **_: Any) -> Tensor:
    new_height, new_width = size
    height, width = map_.shape[-2:]
    if (height, width) == (new_height, new_width):
        return map_
    rows = ((torch.arange(new_height) + 0.5) * (height / new_height)).long()
    columns = ((torch.arange(new_width) + 0.5) * (width / new_width)).long()
    # Whole rows first: five times faster than picking pixels one by one.
    return map_.index_select(-2, rows).index_select(-1, columns)


def _resize_smooth_depth(map_: Float[Tensor, "1 height width"], size: Sequence[int], **_: Any) -> Tensor:
    if map_.amin() > 0:
        return _bicubic(map_, size)
    invalid = map_ == 0
    # Holes take the mean of the rest first, or their 0 would bleed into the neighbours.
    filled = map_.masked_fill(invalid, map_.sum() / (~invalid).sum().clamp(min=1))
    return _bicubic(filled, size).masked_fill_(_resize_nearest(invalid, size), 0.0)


def _bicubic(depth: Float[Tensor, "1 height width"], size: Sequence[int]) -> Float[Tensor, "1 new_height new_width"]:
    resized = torch.nn.functional.interpolate(depth[None], size=tuple(size), mode="bicubic", antialias=True)[0]
    # Bicubic weights overshoot at edges; 0 would mean invalid.
    return resized.clamp_(min=1.0)


def _mirror_normals(map_: Tensor) -> Tensor:
    mirrored = map_.flip(-1)
    missing = (mirrored == 0).all(dim=0)
    mirrored[0] = torch.where(missing, 0, 255 - mirrored[0])
    return mirrored


def _register(operation: Callable[..., Any], kind: type[Tensor], kernel: Callable[..., Tensor]) -> None:
    """Make `kernel`, which works on plain tensors, torchvision's `operation` for maps of this kind."""

    def on_map(map_: Tensor, *args: Any, **kwargs: Any) -> Any:
        return tv_tensors.wrap(kernel(map_.as_subclass(Tensor), *args, **kwargs), like=map_)

    functional.register_kernel(operation, kind)(on_map)


_register(functional.resize, NearestMap, _resize_nearest)
_register(functional.resize, SmoothDepth, _resize_smooth_depth)
_register(functional.horizontal_flip, NormalMap, _mirror_normals)

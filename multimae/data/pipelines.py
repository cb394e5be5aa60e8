"""From a decoded sample to the model's inputs and targets: one class per training or evaluation recipe.

Each returns `dict(inputs=..., targets=..., meta=...)`, nested dicts of tensors that any default collation stacks.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from multimae.data.colours import ColorJitter, to_grey
from multimae.data.maps import Maps, Sample, to_maps
from multimae.data.spec import DatasetSpec
from multimae.data.transforms import (
    HeightWidth,
    MapFilter,
    RgbFilter,
    centre_crop,
    crop,
    depth_target,
    encode,
    fit,
    is_valid,
    pad,
    random_crop,
    random_flip,
    resize,
    semseg_target,
    size_of,
    uniform,
)
from multimae.registry import TRANSFORMS
from multimae.tables.modalities import MODALITIES

Example = dict[str, dict[str, Any]]
Protocol = Literal["paper", "standard"]
Range = tuple[float, float]
Resizing = Literal["opencv", "antialiased"]

FILTERS: Mapping[Resizing, tuple[RgbFilter, MapFilter]] = MappingProxyType(
    {"opencv": ("bilinear", "corner"), "antialiased": ("antialiased", "centre")}
)
"""What RGB and what the other maps are resized with."""


class Pipeline:
    """Hold what all pipelines need: the modalities the model reads and the size it reads them at.

    `map_filter` is how maps other than RGB were resized; it also says which pixels a label map at a quarter of the
    resolution is made of.
    """

    map_filter: MapFilter = "centre"

    def __init__(self, *, inputs: Sequence[str], size: int, targets: Sequence[str] = ()) -> None:
        if unknown := [name for name in (*inputs, *targets) if name not in MODALITIES]:
            raise ValueError(f"unknown inputs {unknown}; known: {list(MODALITIES)}")
        if not inputs:
            raise ValueError(f"inputs is empty; name at least one of {list(MODALITIES)}")
        if size < 1:
            raise ValueError(f"size is {size}, wanted a positive number of pixels")
        self.inputs = tuple(inputs)
        self.targets = tuple(targets)
        self.size = size

    def example(self, sample: Sample, maps: Maps, *, targets: dict[str, Tensor], content: HeightWidth) -> Example:
        """Encode the maps and tell where they came from."""
        meta = {
            "name": sample.name,
            "original_hw": torch.tensor(sample.height_width),
            "content_hw": torch.tensor(content),
        }
        if sample.available is not None:
            read = (*self.inputs, *self.targets)
            meta["available"] = {name: torch.tensor(sample.available[name]) for name in read}
        return {"inputs": self.encode(self.inputs, maps, spec=sample.spec), "targets": targets, "meta": meta}

    def encode(self, names: Sequence[str], maps: Maps, *, spec: DatasetSpec) -> dict[str, Tensor]:
        """Return the named modalities, in this order, as models read them."""
        return {name: encode(name, maps, spec=spec, map_filter=self.map_filter) for name in names}


class TransferPipeline(Pipeline):
    """Add how maps are resized: with OpenCV, as the reference's fine-tunings do, or with smoothing and centred maps."""

    def __init__(self, *, inputs: Sequence[str], size: int, resizing: Resizing = "opencv") -> None:
        super().__init__(inputs=inputs, size=size)
        self.rgb_filter, self.map_filter = FILTERS[resizing]

    def resize(self, maps: Maps, *, to: HeightWidth) -> Maps:
        """Resize every map to (height, width)."""
        return resize(maps, to=to, rgb_filter=self.rgb_filter, map_filter=self.map_filter)


@TRANSFORMS.register_module()
class PretrainingAugmentation(Pipeline):
    """Cut one random box out of all modalities, resize it to `size` x `size`, mirror it with `hflip_prob`.

    `scale` is the box's share of the image, `ratio` its aspect (MultiMAE section 3.3: no colour jitter). `targets`:
    modalities that are predicted without being read.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        targets: Sequence[str] = (),
        scale: Range = (0.2, 1.0),
        ratio: Range = (3 / 4, 4 / 3),
        hflip_prob: float = 0.5,
    ) -> None:
        super().__init__(inputs=inputs, size=size, targets=targets)
        self.box = v2.RandomResizedCrop(size, scale=scale, ratio=ratio)
        self.hflip_prob = hflip_prob

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, *self.targets), depth="bicubic")
        box = self.box.make_params([next(iter(maps.values()))])
        maps = crop(maps, **box)
        maps = resize(maps, to=(self.size, self.size), rgb_filter="bicubic")
        maps = random_flip(maps, prob=self.hflip_prob)
        targets = self.encode(self.targets, maps, spec=sample.spec)
        return self.example(sample, maps, targets=targets, content=size_of(maps))


@TRANSFORMS.register_module()
class PretrainingEvaluation(Pipeline):
    """Resize the shorter side to `size` and cut out the central square."""

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, *self.targets), depth="bicubic")
        maps = resize(maps, to=fit(size_of(maps), size=self.size, side="shorter"), rgb_filter="bicubic")
        maps = centre_crop(maps, size=self.size)
        targets = self.encode(self.targets, maps, spec=sample.spec)
        return self.example(sample, maps, targets=targets, content=size_of(maps))


@TRANSFORMS.register_module()
class SemsegAugmentation(TransferPipeline):
    """Mirror, fit into `size` x `size`, jitter the colours, zoom by `scale`, crop or pad to `size` x `size`.

    The reference's "simple" augmentation in its order, with its numbers.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        scale: Range = (0.1, 2.0),
        hflip_prob: float = 0.5,
        jitter_prob: float = 0.5,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.scale = scale
        self.hflip_prob = hflip_prob
        self.jitter_prob = jitter_prob
        self.jitter = ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)

    def __call__(self, sample: Sample) -> Example:
        maps = random_flip(to_maps(sample, names=(*self.inputs, "semseg")), prob=self.hflip_prob)
        maps = self.resize(maps, to=fit(size_of(maps), size=self.size, side="longer"))
        maps = _recolour(maps, change=self.jitter, prob=self.jitter_prob)
        zoom = uniform(*self.scale)
        height, width = (max(1, int(length * zoom)) for length in size_of(maps))
        maps = random_crop(self.resize(maps, to=(height, width)), size=self.size)
        content = size_of(maps)
        maps = pad(maps, size=self.size)
        return self.example(sample, maps, targets={"semseg": semseg_target(maps["semseg"])}, content=content)


@TRANSFORMS.register_module()
class SemsegEvaluation(TransferPipeline):
    """Fit the whole image into `size` x `size`, padding at the bottom or the right.

    `paper` resizes and pads the labels too and scores at that size, as the reference does; `standard` leaves the labels
    as they are, at original resolution. With `side="shorter"`, for sliding windows, the shorter side becomes about
    `size` instead, both sides multiples of `multiple_of` as patches need it, and nothing is padded.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        protocol: Protocol,
        side: Literal["longer", "shorter"] = "longer",
        multiple_of: int = 16,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.protocol = protocol
        self.side = side
        self.multiple_of = multiple_of

    def __call__(self, sample: Sample) -> Example:
        original = to_maps(sample, names=(*self.inputs, "semseg"))
        height, width = fit(size_of(original), size=self.size, side=self.side)
        if self.side == "shorter":
            height, width = (_nearest_multiple(length, self.multiple_of) for length in (height, width))
        maps = self.resize(original, to=(height, width))
        content = size_of(maps)
        maps = maps if self.side == "shorter" else pad(maps, size=self.size)
        scored = {"paper": maps, "standard": original}[self.protocol]
        return self.example(sample, maps, targets={"semseg": semseg_target(scored["semseg"])}, content=content)


@TRANSFORMS.register_module()
class DepthAugmentation(TransferPipeline):
    """Resize the shorter side to `size`, mirror, jitter or grey the colours, cut out a random square.

    The reference's NYUv2 depth augmentation in its order, with its numbers.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        hflip_prob: float = 0.5,
        jitter_prob: float = 0.5,
        brightness: float = 0.1255,
        contrast: float = 0.4,
        saturation: float = 0.5,
        hue: float = 0.2,
        grey_prob: float = 0.3,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.hflip_prob = hflip_prob
        self.jitter_prob = jitter_prob
        self.jitter = ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        self.grey_prob = grey_prob

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, "depth"))
        maps = self.resize(maps, to=fit(size_of(maps), size=self.size, side="shorter"))
        maps = random_flip(maps, prob=self.hflip_prob)
        maps = _recolour(maps, change=self.jitter, prob=self.jitter_prob)
        maps = _recolour(maps, change=to_grey, prob=self.grey_prob)
        maps = random_crop(maps, size=self.size)
        return self.example(sample, maps, targets=_depth_targets(sample, maps), content=size_of(maps))


@TRANSFORMS.register_module()
class DepthEvaluation(TransferPipeline):
    """Show the model the centre (`paper`) or the whole image (`standard`).

    `paper`: shorter side to `size`, central square, scored there. `standard`: shorter side to about `size`, both sides
    to multiples of `multiple_of` as patches need it, scored at original resolution.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        protocol: Protocol,
        multiple_of: int = 16,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.protocol = protocol
        self.multiple_of = multiple_of

    def __call__(self, sample: Sample) -> Example:
        original = to_maps(sample, names=(*self.inputs, "depth"))
        height, width = fit(size_of(original), size=self.size, side="shorter")
        if self.protocol == "paper":
            maps = scored = centre_crop(self.resize(original, to=(height, width)), size=self.size)
        else:
            to = (_nearest_multiple(height, self.multiple_of), _nearest_multiple(width, self.multiple_of))
            maps, scored = self.resize(original, to=to), original
        return self.example(sample, maps, targets=_depth_targets(sample, scored), content=size_of(maps))


def _depth_targets(sample: Sample, maps: Maps) -> dict[str, Tensor]:
    target = depth_target(maps, mean_mm=sample.spec.depth_mean_mm, std_mm=sample.spec.depth_std_mm)
    return {"depth": target, "mask_valid": is_valid(maps)}


def _recolour(maps: Maps, *, change: Callable[[Tensor], Tensor], prob: float) -> Maps:
    """Change RGB, where there is any, or leave it; the other maps are not looked at."""
    if "rgb" not in maps or uniform(0.0, 1.0) >= prob:
        return maps
    return {**maps, "rgb": tv_tensors.wrap(change(maps["rgb"]), like=maps["rgb"])}


def _nearest_multiple(length: int, multiple_of: int) -> int:
    return max(1, round(length / multiple_of)) * multiple_of

"""From a decoded sample to the model's inputs and targets: one class per training or evaluation recipe.

Each returns `dict(inputs=..., targets=..., meta=...)`, nested dicts of tensors that any default collation stacks.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

from multimae.data.maps import Maps, Sample, to_maps
from multimae.data.transforms import (
    HeightWidth,
    RgbFilter,
    centre_crop,
    crop,
    depth_target,
    encode_depth,
    encode_image,
    encode_normal,
    encode_semseg,
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
from multimae.modalities import MODALITIES, modality
from multimae.registry import TRANSFORMS

Example = dict[str, dict[str, Any]]
Protocol = Literal["paper", "standard"]
Range = tuple[float, float]


class Pipeline:
    """Hold what all pipelines need: the modalities the model reads and the size it reads them at."""

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
        return {"inputs": self.encode(maps, sample.spec.num_classes), "targets": targets, "meta": meta}

    def encode(self, maps: Maps, num_classes: int) -> dict[str, Tensor]:
        """Return the inputs in the order they were asked for."""
        return {name: _encode(name, maps, num_classes) for name in self.inputs}

    def encoded_targets(self, sample: Sample, maps: Maps) -> dict[str, Tensor]:
        """Return what is predicted without being read, in the format of inputs."""
        return {name: _encode(name, maps, sample.spec.num_classes) for name in self.targets}


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
        return self.example(sample, maps, targets=self.encoded_targets(sample, maps), content=size_of(maps))


@TRANSFORMS.register_module()
class PretrainingEvaluation(Pipeline):
    """Resize the shorter side to `size` and cut out the central square."""

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, *self.targets), depth="bicubic")
        maps = resize(maps, to=fit(size_of(maps), size=self.size, side="shorter"), rgb_filter="bicubic")
        maps = centre_crop(maps, size=self.size)
        return self.example(sample, maps, targets=self.encoded_targets(sample, maps), content=size_of(maps))


@TRANSFORMS.register_module()
class SemsegAugmentation(Pipeline):
    """Fit into `size` x `size`, jitter the colours, zoom by `scale`, crop or pad to `size` x `size`.

    The reference's "simple" augmentation with its numbers. Mirroring comes last instead of first: the same images, on
    fewer pixels.
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
        rgb_filter: RgbFilter = "antialiased",
    ) -> None:
        super().__init__(inputs=inputs, size=size)
        self.scale = scale
        self.hflip_prob = hflip_prob
        self.jitter_prob = jitter_prob
        self.jitter = v2.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        self.rgb_filter = rgb_filter

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, "semseg"))
        maps = resize(maps, to=fit(size_of(maps), size=self.size, side="longer"), rgb_filter=self.rgb_filter)
        maps = _jitter_rgb(maps, jitter=self.jitter, prob=self.jitter_prob)
        zoom = uniform(*self.scale)
        height, width = (max(1, int(length * zoom)) for length in size_of(maps))
        maps = resize(maps, to=(height, width), rgb_filter=self.rgb_filter)
        maps = random_flip(random_crop(maps, size=self.size), prob=self.hflip_prob)
        content = size_of(maps)
        maps = pad(maps, size=self.size)
        return self.example(sample, maps, targets={"semseg": semseg_target(maps["semseg"])}, content=content)


@TRANSFORMS.register_module()
class SemsegEvaluation(Pipeline):
    """Fit the whole image into `size` x `size`, padding at the bottom or the right.

    `paper` resizes and pads the labels too and scores at that size, as the reference does; `standard` leaves the labels
    as they are, at original resolution.
    """

    def __init__(
        self, *, inputs: Sequence[str], size: int, protocol: Protocol, rgb_filter: RgbFilter = "antialiased"
    ) -> None:
        super().__init__(inputs=inputs, size=size)
        self.protocol = protocol
        self.rgb_filter = rgb_filter

    def __call__(self, sample: Sample) -> Example:
        original = to_maps(sample, names=(*self.inputs, "semseg"))
        maps = resize(original, to=fit(size_of(original), size=self.size, side="longer"), rgb_filter=self.rgb_filter)
        content = size_of(maps)
        maps = pad(maps, size=self.size)
        scored = {"paper": maps, "standard": original}[self.protocol]
        return self.example(sample, maps, targets={"semseg": semseg_target(scored["semseg"])}, content=content)


@TRANSFORMS.register_module()
class DepthAugmentation(Pipeline):
    """Resize the shorter side to `size`, jitter or grey the colours, cut out a random square, mirror it.

    The reference's NYUv2 depth augmentation with its numbers.
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
        saturation: Range = (0.5, 1.5),
        hue: float = 0.2,
        grey_prob: float = 0.3,
        rgb_filter: RgbFilter = "antialiased",
    ) -> None:
        super().__init__(inputs=inputs, size=size)
        self.hflip_prob = hflip_prob
        self.jitter_prob = jitter_prob
        self.jitter = v2.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        self.grey_prob = grey_prob
        self.grey = v2.Grayscale(num_output_channels=3)
        self.rgb_filter = rgb_filter

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, "depth"))
        maps = resize(maps, to=fit(size_of(maps), size=self.size, side="shorter"), rgb_filter=self.rgb_filter)
        maps = _jitter_rgb(maps, jitter=self.jitter, prob=self.jitter_prob)
        maps = _jitter_rgb(maps, jitter=self.grey, prob=self.grey_prob)
        maps = random_flip(random_crop(maps, size=self.size), prob=self.hflip_prob)
        return self.example(sample, maps, targets=_depth_targets(sample, maps), content=size_of(maps))


@TRANSFORMS.register_module()
class DepthEvaluation(Pipeline):
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
        rgb_filter: RgbFilter = "antialiased",
    ) -> None:
        super().__init__(inputs=inputs, size=size)
        self.protocol = protocol
        self.multiple_of = multiple_of
        self.rgb_filter = rgb_filter

    def __call__(self, sample: Sample) -> Example:
        original = to_maps(sample, names=(*self.inputs, "depth"))
        height, width = fit(size_of(original), size=self.size, side="shorter")
        if self.protocol == "paper":
            maps = resize(original, to=(height, width), rgb_filter=self.rgb_filter)
            maps = scored = centre_crop(maps, size=self.size)
        else:
            to = (_nearest_multiple(height, self.multiple_of), _nearest_multiple(width, self.multiple_of))
            maps, scored = resize(original, to=to, rgb_filter=self.rgb_filter), original
        return self.example(sample, maps, targets=_depth_targets(sample, scored), content=size_of(maps))


def _encode(name: str, maps: Maps, num_classes: int) -> Tensor:
    facts = modality(name)
    if facts.kind == "depth":
        return encode_depth(maps)
    plain = maps[name].as_subclass(Tensor)
    if facts.kind == "labels":
        return encode_semseg(plain, num_classes=num_classes)
    return encode_image(plain, mean=facts.mean, std=facts.std) if facts.kind == "image" else encode_normal(plain)


def _depth_targets(sample: Sample, maps: Maps) -> dict[str, Tensor]:
    target = depth_target(maps, mean_mm=sample.spec.depth_mean_mm, std_mm=sample.spec.depth_std_mm)
    return {"depth": target, "mask_valid": is_valid(maps)}


def _jitter_rgb(maps: Maps, *, jitter: v2.Transform, prob: float) -> Maps:
    if "rgb" not in maps or uniform(0.0, 1.0) >= prob:
        return maps
    return {**maps, "rgb": jitter(maps["rgb"])}


def _nearest_multiple(length: int, multiple_of: int) -> int:
    return max(1, round(length / multiple_of)) * multiple_of

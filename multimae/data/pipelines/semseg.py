"""Pipelines of semantic segmentation: the reference's, and one that scores labels as they were published."""

from collections.abc import Sequence
from typing import Literal

from multimae.data.colours import ColorJitter
from multimae.data.maps import Sample, to_maps
from multimae.data.pipelines.pipeline import Example, Protocol, Resizing, TransferPipeline, nearest_multiple, recolour
from multimae.data.transforms import fit, pad, random_crop, random_flip, semseg_target, size_of, uniform
from multimae.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SemsegAugmentation(TransferPipeline):
    """Mirror, fit into `size` x `size`, jitter the colours, zoom, crop or pad to `size` x `size`.

    `scale_min` and `scale_max` bound the zoom.
    The reference's "simple" augmentation in its order, with its numbers.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        scale_min: float = 0.1,
        scale_max: float = 2.0,
        hflip_prob: float = 0.5,
        color_jitter_prob: float = 0.5,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.scale_min, self.scale_max = scale_min, scale_max
        self.hflip_prob = hflip_prob
        self.color_jitter_prob = color_jitter_prob
        self.jitter = ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)

    def __call__(self, sample: Sample) -> Example:
        maps = random_flip(to_maps(sample, names=(*self.inputs, "semseg")), prob=self.hflip_prob)
        maps = self.resize(maps, to=fit(size_of(maps), size=self.size, side="longer"))
        maps = recolour(maps, change=self.jitter, prob=self.color_jitter_prob)
        zoom = uniform(self.scale_min, self.scale_max)
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
            height, width = (nearest_multiple(length, self.multiple_of) for length in (height, width))
        maps = self.resize(original, to=(height, width))
        content = size_of(maps)
        maps = maps if self.side == "shorter" else pad(maps, size=self.size)
        scored = {"paper": maps, "standard": original}[self.protocol]
        return self.example(sample, maps, targets={"semseg": semseg_target(scored["semseg"])}, content=content)

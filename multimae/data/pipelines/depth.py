"""Pipelines of depth estimation: the reference's, and one that scores depth at the resolution it was measured at."""

from collections.abc import Sequence

from torch import Tensor

from multimae.data.colours import ColorJitter, to_grey
from multimae.data.maps import Maps, Sample, to_maps
from multimae.data.pipelines.pipeline import Example, Protocol, Resizing, TransferPipeline, nearest_multiple, recolour
from multimae.data.transforms import centre_crop, depth_target, fit, is_valid, random_crop, random_flip, size_of
from multimae.registry import TRANSFORMS


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
        color_jitter_prob: float = 0.5,
        brightness: float = 0.1255,
        contrast: float = 0.4,
        saturation: float = 0.5,
        hue: float = 0.2,
        grey_prob: float = 0.3,
        resizing: Resizing = "opencv",
    ) -> None:
        super().__init__(inputs=inputs, size=size, resizing=resizing)
        self.hflip_prob = hflip_prob
        self.color_jitter_prob = color_jitter_prob
        self.jitter = ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
        self.grey_prob = grey_prob

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=(*self.inputs, "depth"))
        maps = self.resize(maps, to=fit(size_of(maps), size=self.size, side="shorter"))
        maps = random_flip(maps, prob=self.hflip_prob)
        maps = recolour(maps, change=self.jitter, prob=self.color_jitter_prob)
        maps = recolour(maps, change=to_grey, prob=self.grey_prob)
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
            to = (nearest_multiple(height, self.multiple_of), nearest_multiple(width, self.multiple_of))
            maps, scored = self.resize(original, to=to), original
        return self.example(sample, maps, targets=_depth_targets(sample, scored), content=size_of(maps))


def _depth_targets(sample: Sample, maps: Maps) -> dict[str, Tensor]:
    target = depth_target(maps, mean_mm=sample.spec.depth_mean_mm, std_mm=sample.spec.depth_std_mm)
    return {"depth": target, "mask_valid": is_valid(maps)}

"""Pipelines of Taskonomy's tasks: predict one domain in [0, 1] from the whole image, as the reference does.

There is no augmentation beyond an optional mirroring (section 3.3 of Zamir et al. 2018 and the reference agree).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torchvision.transforms.v2 import functional

from multimae.data.maps import Maps, Sample, to_maps
from multimae.data.pipelines.pipeline import Example, Pipeline, Protocol
from multimae.data.transforms import encode_domain, fit, random_flip, resize, size_of
from multimae.registry import TRANSFORMS
from multimae.shapes import Bool
from multimae.tables.modalities import MODALITIES, modality

INVALID_DEPTH = 65535
DILATION = 4


class RegressionPipeline(Pipeline):
    """Hold the modality that is predicted: one of Taskonomy's domains, or normals."""

    def __init__(self, *, inputs: Sequence[str], target: str, size: int) -> None:
        if modality(target).full_scale == 0:
            known = [name for name, item in MODALITIES.items() if item.full_scale]
            raise ValueError(f"target is {target!r}, which has no scale to predict it on; wanted one of {known}")
        super().__init__(inputs=inputs, size=size)
        self.target = target

    def maps(self, sample: Sample) -> Maps:
        """Return what is read and what is predicted, and where that is valid if the data set says so."""
        validity = ["mask_valid"] if "mask_valid" in sample.maps else []
        return to_maps(sample, names=(*self.inputs, self.target, *validity))


@TRANSFORMS.register_module()
class RegressionAugmentation(RegressionPipeline):
    """Resize the whole image to `size` x `size`; mirror it with `hflip_prob`, never in the reference."""

    def __init__(self, *, inputs: Sequence[str], target: str, size: int, hflip_prob: float = 0.0) -> None:
        super().__init__(inputs=inputs, target=target, size=size)
        self.hflip_prob = hflip_prob

    def __call__(self, sample: Sample) -> Example:
        maps = resize(self.maps(sample), to=(self.size, self.size), rgb_filter="antialiased")
        maps = random_flip(maps, prob=self.hflip_prob)
        targets = regression_targets(maps, target=self.target, dilation=DILATION)
        return self.example(sample, maps, targets=targets, content=size_of(maps))


@TRANSFORMS.register_module()
class RegressionEvaluation(RegressionPipeline):
    """Score at `size` x `size` with the invalid area dilated (`paper`), or as stored, at original resolution.

    `standard` keeps the aspect: shorter side to about `size`, both sides to multiples of `multiple_of`.
    """

    def __init__(
        self, *, inputs: Sequence[str], target: str, size: int, protocol: Protocol, multiple_of: int = 16
    ) -> None:
        super().__init__(inputs=inputs, target=target, size=size)
        self.protocol = protocol
        self.multiple_of = multiple_of

    def __call__(self, sample: Sample) -> Example:
        original = self.maps(sample)
        if self.protocol == "paper":
            maps = scored = resize(original, to=(self.size, self.size), rgb_filter="antialiased")
        else:
            height, width = (
                max(1, round(length / self.multiple_of)) * self.multiple_of
                for length in fit(size_of(original), size=self.size, side="shorter")
            )
            maps, scored = resize(original, to=(height, width), rgb_filter="antialiased"), original
        dilation = DILATION if self.protocol == "paper" else 1
        targets = regression_targets(scored, target=self.target, dilation=dilation)
        return self.example(sample, maps, targets=targets, content=size_of(maps))


def regression_targets(maps: Maps, *, target: str, dilation: int) -> dict[str, Tensor]:
    """Return the domain in [0, 1], [channels, height, width], and where it is valid, [1, height, width].

    Of occlusion edges the target is blurred (3 x 3, sigma 1). `dilation` widens the invalid area to whole blocks of
    that many pixels a side.
    """
    codes = maps[target].as_subclass(Tensor)
    valid = _where_valid(codes, maps=maps, target=target)
    scaled = encode_domain(codes, full_scale=modality(target).full_scale)
    if target == "edge_occlusion":
        scaled = functional.gaussian_blur(scaled, kernel_size=[3, 3], sigma=[1.0, 1.0])
    return {"target": scaled.masked_fill_(~valid, 0.0), "mask_valid": _shrunk(valid, dilation=dilation)}


def _where_valid(codes: Tensor, *, maps: Maps, target: str) -> Bool[Tensor, "1 height width"]:
    """Trust `mask_valid` where it is; else depth that was measured, normals that are there, everything else."""
    if "mask_valid" in maps:
        valid = maps["mask_valid"].as_subclass(Tensor) == 255
    else:
        valid = torch.ones_like(codes[:1], dtype=torch.bool)
    if target == "depth_zbuffer":
        valid = valid & (codes != INVALID_DEPTH)
    elif target == "normal":
        valid = valid & (codes != 0).any(dim=0, keepdim=True)
    return valid


def _shrunk(valid: Bool[Tensor, "1 height width"], *, dilation: int) -> Bool[Tensor, "1 height width"]:
    """Call a block of `dilation` x `dilation` pixels valid where all of it is; blocks are cut at the border."""
    if dilation == 1:
        return valid
    height, width = valid.shape[-2:]
    blocks = F.max_pool2d((~valid).float(), kernel_size=dilation, stride=dilation, ceil_mode=True)
    whole = blocks.repeat_interleave(dilation, dim=-2).repeat_interleave(dilation, dim=-1)
    return whole[..., :height, :width] == 0

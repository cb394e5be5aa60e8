"""Pipelines of classification from one or several modalities; the target is the number of the sample's class."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, ImageOps
from timm.data.auto_augment import RandAugment, rand_augment_transform
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from multimae.data.maps import Maps, Sample, to_maps
from multimae.data.pipelines.pipeline import Example, Pipeline, Range
from multimae.data.sample import DataError
from multimae.data.transforms import HeightWidth, crop, random_flip, resize, size_of
from multimae.registry import TRANSFORMS
from multimae.tables.modalities import IMAGENET_MEAN

GEOMETRIC = ("Shear", "Translate", "Rotate")
SHORTER_SIDE_PER_CROP = 256 / 224


@TRANSFORMS.register_module()
class ClassificationAugmentation(Pipeline):
    """Cut one random box out of all modalities, resize it to `size` x `size`, mirror it, RandAugment its colours.

    `rand_augment` is timm's description, such as MultiMAE's `rand-m9-mstd0.5-inc1`, or empty. With RGB alone all of its
    operations run; beside other modalities those that would move RGB against them are left out.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        scale_min: float = 0.08,
        scale_max: float = 1.0,
        ratio: Range = (3 / 4, 4 / 3),
        hflip_prob: float = 0.5,
        rand_augment: str = "",
    ) -> None:
        super().__init__(inputs=inputs, size=size)
        self.box = v2.RandomResizedCrop(size, scale=(scale_min, scale_max), ratio=ratio)
        self.hflip_prob = hflip_prob
        self.rand_augment = _rand_augment(rand_augment, alone=self.inputs == ("rgb",)) if rand_augment else None

    def __call__(self, sample: Sample) -> Example:
        maps = to_maps(sample, names=self.inputs)
        maps = crop(maps, **self.box.make_params([next(iter(maps.values()))]))
        maps = resize(maps, to=(self.size, self.size), rgb_filter="bicubic")
        maps = random_flip(maps, prob=self.hflip_prob)
        if self.rand_augment is not None and "rgb" in maps:
            maps = {**maps, "rgb": _on_pil(self.rand_augment, maps["rgb"])}
        return self.example(sample, maps, targets={"label": _label(sample)}, content=size_of(maps))


@TRANSFORMS.register_module()
class ClassificationEvaluation(Pipeline):
    """Resize the shorter side to 256 for a `size` of 224, in proportion for others, and cut out the central square.

    As torchvision rounds, which the reference uses here: not quite as `transforms.fit` and `centre_crop` do.
    """

    def __call__(self, sample: Sample) -> Example:
        maps: Maps = to_maps(sample, names=self.inputs)
        shorter = round(self.size * SHORTER_SIDE_PER_CROP)
        maps = resize(maps, to=_fit(size_of(maps), shorter=shorter), rgb_filter="bicubic")
        maps = {name: functional.center_crop(map_, [self.size, self.size]) for name, map_ in maps.items()}
        return self.example(sample, maps, targets={"label": _label(sample)}, content=size_of(maps))


def _label(sample: Sample) -> Tensor:
    if sample.label is None:
        raise DataError(f"sample {sample.name!r} has no class: use class folders or a labels.csv, and labelled=True")
    return torch.tensor(sample.label)


def _fit(height_width: HeightWidth, *, shorter: int) -> HeightWidth:
    """Scale both sides so that the shorter one becomes `shorter`; a fraction of a pixel is cut off."""
    height, width = (shorter * length // min(height_width) for length in height_width)
    return height, width


def _rand_augment(description: str, *, alone: bool) -> RandAugment:
    fill = tuple(round(255 * mean) for mean in IMAGENET_MEAN)
    settings = {"translate_pct": 0.45, "img_mean": fill, "interpolation": Image.Resampling.BICUBIC}
    transform = rand_augment_transform(description, settings)
    if not alone:
        transform.ops = [operation for operation in transform.ops if not operation.name.startswith(GEOMETRIC)]
    for operation in transform.ops:
        if operation.name.startswith("Posterize"):
            operation.aug_fn = _posterize
    return transform


def _posterize(image: Image.Image, num_bits: int, **_: Any) -> Image.Image:
    """Keep so many bits of every channel: at the highest magnitude none, which Pillow refuses."""
    return ImageOps.posterize(image, num_bits) if num_bits else image.point(lambda _: 0)


def _on_pil(transform: RandAugment, rgb: Tensor) -> Tensor:
    changed: Tensor = functional.pil_to_tensor(transform(functional.to_pil_image(rgb)))
    return changed

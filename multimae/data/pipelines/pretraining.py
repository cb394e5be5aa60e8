"""Pipelines of pre-training: the same square of all modalities (MultiMAE, section 3.3: no colour jitter)."""

from collections.abc import Sequence

from torchvision.transforms import v2

from multimae.data.maps import Sample, to_maps
from multimae.data.pipelines.pipeline import Example, Pipeline, Range
from multimae.data.transforms import centre_crop, crop, fit, random_flip, resize, size_of
from multimae.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PretrainingAugmentation(Pipeline):
    """Cut one random box out of all modalities, resize it to `size` x `size`, mirror it with `hflip_prob`.

    `crop_scale_min` and `crop_scale_max` bound the box's share of the image, `ratio` its aspect. `targets`: modalities
    that are predicted without being read.
    """

    def __init__(
        self,
        *,
        inputs: Sequence[str],
        size: int,
        targets: Sequence[str] = (),
        crop_scale_min: float = 0.2,
        crop_scale_max: float = 1.0,
        ratio: Range = (3 / 4, 4 / 3),
        hflip_prob: float = 0.5,
    ) -> None:
        super().__init__(inputs=inputs, size=size, targets=targets)
        self.box = v2.RandomResizedCrop(size, scale=(crop_scale_min, crop_scale_max), ratio=ratio)
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

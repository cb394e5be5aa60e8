"""Steps of the pipelines: geometry that moves all maps alike, then encoding into what the model reads and predicts."""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from multimae.data.decode import kind_of
from multimae.data.labels import label_code
from multimae.data.maps import Maps
from multimae.data.spec import DatasetSpec
from multimae.shapes import Bool, Float, Int
from multimae.tables.modalities import modality

HeightWidth = tuple[int, int]
RgbFilter = Literal["antialiased", "bilinear", "bicubic"]
MapFilter = Literal["centre", "corner"]

PAD_RGB = 128
PAD_LABEL = 0


def fit(height_width: HeightWidth, *, size: int, side: Literal["shorter", "longer"]) -> HeightWidth:
    """Scale both sides so that the named one becomes `size`; halves round to even, as in the reference's library."""
    scale = size / (min if side == "shorter" else max)(height_width)
    height, width = (max(1, round(length * scale)) for length in height_width)
    return height, width


def resize(maps: Maps, *, to: HeightWidth, rgb_filter: RgbFilter, map_filter: MapFilter = "centre") -> Maps:
    """Resize every map to (height, width).

    `rgb_filter` is for RGB: `bilinear` looks at four pixels however far it shrinks, as the reference's fine-tuning does
    (OpenCV); `antialiased` averages over all pixels it covers; `bicubic` does too, with the reference's pre-training
    filter (Pillow). `map_filter` says which pixel the other maps take: the one at the `centre` of the area it covers
    (Pillow), or at its upper left `corner` (OpenCV), which moves labels against the image by up to half a pixel of the
    smaller.
    """
    return {
        name: _resize_image(map_, to=to, rgb_filter=rgb_filter)
        if kind_of(name) == "image"
        else _resize_map(map_, to=to, map_filter=map_filter)
        for name, map_ in maps.items()
    }


def _resize_image(image: Tensor, *, to: HeightWidth, rgb_filter: RgbFilter) -> Tensor:
    if rgb_filter == "bilinear":
        return _resize_with_opencv(image, to=to, interpolation=cv2.INTER_LINEAR)
    mode = InterpolationMode.BICUBIC if rgb_filter == "bicubic" else InterpolationMode.BILINEAR
    resized: Tensor = functional.resize(image, list(to), interpolation=mode, antialias=True)
    return resized


def _resize_map(map_: Tensor, *, to: HeightWidth, map_filter: MapFilter) -> Tensor:
    if map_filter == "corner":
        return _resize_with_opencv(map_, to=to, interpolation=cv2.INTER_NEAREST)
    resized: Tensor = functional.resize(map_, list(to))
    return resized


def _resize_with_opencv(map_: Tensor, *, to: HeightWidth, interpolation: int) -> Tensor:
    height, width = to
    # [channels, height, width] -> [height, width, channels] and back; OpenCV drops the axis of a single channel
    pixels = np.ascontiguousarray(map_.as_subclass(Tensor).permute(1, 2, 0).numpy())
    resized = np.atleast_3d(cv2.resize(pixels, (width, height), interpolation=interpolation))
    wrapped: Tensor = tv_tensors.wrap(torch.from_numpy(resized).permute(2, 0, 1), like=map_)
    return wrapped


def crop(maps: Maps, *, top: int, left: int, height: int, width: int) -> Maps:
    """Cut the same box out of every map."""
    return {name: functional.crop(map_, top, left, height, width) for name, map_ in maps.items()}


def random_crop(maps: Maps, *, size: int) -> Maps:
    """Cut the same random square out of every map; a side shorter than `size` stays whole.

    The last of the possible places is never taken, as in the reference's library (albumentations 1.1).
    """
    height, width = size_of(maps)
    top, left = (int(torch.randint(max(1, length - size), ())) for length in (height, width))
    return crop(maps, top=top, left=left, height=min(size, height), width=min(size, width))


def centre_crop(maps: Maps, *, size: int) -> Maps:
    """Cut the central square out of every map."""
    height, width = size_of(maps)
    return crop(maps, top=(height - size) // 2, left=(width - size) // 2, height=size, width=size)


def random_flip(maps: Maps, *, prob: float) -> Maps:
    """Mirror every map left to right, or none; normals turn their x around."""
    if uniform(0.0, 1.0) >= prob:
        return maps
    return {name: functional.horizontal_flip(map_) for name, map_ in maps.items()}


def pad(maps: Maps, *, size: int) -> Maps:
    """Pad at the bottom and the right up to `size`: RGB with grey, the rest with 0 (unlabelled, invalid, missing).

    The reference pads labels and depth with 254, which is also a depth that occurs; 0 already says it.
    """
    height, width = size_of(maps)
    if height >= size and width >= size:
        return maps
    margins = [0, 0, max(0, size - width), max(0, size - height)]
    return {
        name: functional.pad(map_, margins, fill=PAD_RGB if kind_of(name) == "image" else PAD_LABEL)
        for name, map_ in maps.items()
    }


def size_of(maps: Maps) -> HeightWidth:
    """Return the (height, width) that all maps share."""
    height, width = next(iter(maps.values())).shape[-2:]
    return height, width


def uniform(low: float, high: float) -> float:
    """Draw from torch's generator, which the data loader seeds per worker."""
    return low + (high - low) * torch.rand(()).item()


def standardize_depth(
    depth: Float[Tensor, "*size"], *, known: Bool[Tensor, "*size"], truncated_ratio: float = 0.1
) -> Float[Tensor, "*size"]:
    """Shift and scale one depth map to mean 0 and variance 1, both taken without the smallest and largest 10 %.

    The reference's pre-training input (`run_pretraining_multimae.py`): unbiased variance, 1e-6 under the root. Unknown
    pixels take no part and become 0, the mean; so does a whole map with fewer than two pixels to go by.
    """
    complete = bool(known.all())
    values = (depth.flatten() if complete else depth[known]).numpy()
    first, last = int(truncated_ratio * values.size), int((1 - truncated_ratio) * values.size)
    if last - first < 2:
        return torch.zeros_like(depth)
    # A partition puts the same values between the two ranks as a sort, in linear time.
    middle = np.partition(values, (first, last - 1))[first:last]
    mean, variance = middle.mean(dtype=np.float64), middle.var(ddof=1, dtype=np.float64)
    standardized = (depth - float(mean)).div_(float(np.sqrt(variance + 1e-6)))
    return standardized if complete else standardized.masked_fill_(~known, 0.0)


def encode(name: str, maps: Maps, *, spec: DatasetSpec, map_filter: MapFilter) -> Tensor:
    """Return one modality as models read it."""
    facts = modality(name)
    if facts.kind == "depth":
        return encode_depth(maps)
    plain = maps[name].as_subclass(Tensor)
    if facts.kind == "labels":
        return encode_semseg(plain, num_classes=label_code(name, spec=spec).num_classes, map_filter=map_filter)
    if facts.kind == "domain":
        return encode_domain(plain, full_scale=facts.full_scale)
    return encode_image(plain, mean=facts.mean, std=facts.std) if facts.kind == "image" else encode_normal(plain)


def encode_image(
    image: Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "channels height width"]:
    """Normalise an 8-bit image [channels, height, width] by a mean and standard deviation, as shares of 255."""
    means, stds = _planes(tuple(mean)), _planes(tuple(std))
    return image.to(torch.float32, memory_format=torch.contiguous_format).sub_(means).div_(stds)


@cache
def _planes(shares: tuple[float, ...]) -> Float[Tensor, "channels 1 1"]:
    return 255 * torch.tensor(shares)[:, None, None]


def encode_depth(maps: Maps) -> Float[Tensor, "1 height width"]:
    """Standardise the depth of one image; invalid pixels (0, or outside `mask_valid`) become 0, the mean.

    As in the reference the statistics take in every pixel that has a depth, trusted or not. Holes and padding, 0 here,
    take no part; the reference's maps have no holes, and its code for padding, 254, is also a depth that occurs.
    """
    depth = maps["depth"].as_subclass(Tensor)
    standardized = standardize_depth(depth, known=depth > 0)
    return standardized.masked_fill_(~is_valid(maps), 0.0) if "mask_valid" in maps else standardized


def encode_semseg(
    labels: Tensor, *, num_classes: int, map_filter: MapFilter = "centre"
) -> Int[Tensor, "quarter_height quarter_width"]:
    """Return classes 0..C-1 at a quarter of the resolution, C where there is no label."""
    # Of every 4x4 block one pixel: the first, or the one right below the centre.
    first = {"corner": 0, "centre": 2}[map_filter]
    quarter = labels[0, first::4, first::4].long() - 1
    return quarter.masked_fill_(quarter < 0, num_classes)


def encode_domain(codes: Tensor, *, full_scale: float) -> Float[Tensor, "channels height width"]:
    """Return a domain of Taskonomy in [0, 1]: stored codes as shares of `full_scale`, cut at 1."""
    return (codes.float() / full_scale).clamp_(max=1.0)


def encode_normal(normal: Tensor) -> Float[Tensor, "3 height width"]:
    """Return normals in [-1, 1]; a missing one is the zero vector."""
    missing = (normal == 0).all(dim=0)
    return (normal.float() / 127.5 - 1).masked_fill_(missing, 0.0)


def semseg_target(labels: Tensor) -> Int[Tensor, "height width"]:
    """Return classes 0..C-1, 255 where there is no label (the reference's `reduce_zero_label`)."""
    assert labels.dtype == torch.uint8
    # In 8 bits 0 - 1 is 255, the value that losses and metrics ignore.
    return (labels[0] - 1).long()


def depth_target(maps: Maps, *, mean_mm: float, std_mm: float) -> Float[Tensor, "1 height width"]:
    """Return depth in the data set's units, (mm - mean) / std; 0 where it is invalid."""
    depth = maps["depth"].as_subclass(Tensor)
    return ((depth - mean_mm) / std_mm).masked_fill_(~is_valid(maps), 0.0)


def is_valid(maps: Maps) -> Bool[Tensor, "1 height width"]:
    """Return where depth was measured and, where the data set says so, may be trusted."""
    measured = maps["depth"].as_subclass(Tensor) > 0
    if "mask_valid" not in maps:
        return measured
    return measured & (maps["mask_valid"].as_subclass(Tensor) == 255)

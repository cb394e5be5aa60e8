"""From values to colours: images and normals as they look, depth and domains over a range, classes in their own."""

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.data.labels import LabelCode
from multimae.shapes import Float
from multimae.tables.modalities import modality

UNLABELLED = (0, 0, 0)
COLOUR_MAP = "viridis"
Picture = NDArray[np.uint8]


def displayed(name: str, values: Float[Tensor, "*batch _ height width"]) -> Float[Tensor, "*batch 3 height width"]:
    """Turn an image or normals from a model's units into red, green and blue, 0 to 1 where they are in range."""
    facts = modality(name)
    if facts.kind == "normals":
        return (values + 1) / 2
    mean, std = (torch.tensor(numbers, device=values.device)[:, None, None] for numbers in (facts.mean, facts.std))
    shape = (*values.shape[:-3], 3, *values.shape[-2:])
    return (values * std + mean).expand(shape)


def rgb_picture(values: Tensor) -> Picture:
    """Draw red, green and blue in 0..1."""
    # [3, height, width] in 0..1 -> [height, width, 3]
    picture: Picture = (values.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return picture


def labels_picture(labels: Tensor, *, code: LabelCode) -> Picture:
    """Draw classes, 0..C-1, in their colours; what is none of them is black."""
    colours = np.array([*code.palette, UNLABELLED], dtype=np.uint8)
    known = (labels >= 0) & (labels < code.num_classes)
    picture: Picture = colours[torch.where(known, labels, code.num_classes).numpy()]
    return picture


def depth_picture(values: Tensor, *, scale_of: Tensor) -> Picture:
    """Colour depth from near (dark) to far over the range of `scale_of`, so that prediction and truth compare."""
    return coloured(share_of_range(values, near_far=depth_range(scale_of)))


def coloured(shares: Float[Tensor, "height width"]) -> Picture:
    """Draw shares in 0..1 in the colours of a map."""
    picture: Picture = matplotlib.colormaps[COLOUR_MAP](shares.numpy(), bytes=True)[..., :3]
    return picture


def depth_range(depth: Tensor) -> tuple[float, float]:
    """Return the values between which depth is coloured; the few beyond them take the end's colour."""
    return float(depth.quantile(0.02)), float(depth.quantile(0.98))


def share_of_range(values: Float[Tensor, "*size"], *, near_far: tuple[float, float]) -> Float[Tensor, "*size"]:
    """Return how far towards the far end each value lies, 0 to 1."""
    near, far = near_far
    return ((values - near) / max(far - near, 1e-6)).clamp(0, 1)


def enlarged(maps: Float[Tensor, "channels _ _"], *, size: tuple[int, ...]) -> Float[Tensor, "channels height width"]:
    """Resize bilinearly."""
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]

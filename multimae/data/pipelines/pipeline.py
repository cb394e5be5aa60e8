"""From a decoded sample to the model's inputs and targets: what the pipelines of all kinds of task share.

Each returns `dict(inputs=..., targets=..., meta=...)`, nested dicts of tensors that any default collation stacks.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors

from multimae.data.maps import Maps, Sample
from multimae.data.spec import DatasetSpec
from multimae.data.transforms import (
    HeightWidth,
    MapFilter,
    RgbFilter,
    encode,
    resize,
    uniform,
)
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


def recolour(maps: Maps, *, change: Callable[[Tensor], Tensor], prob: float) -> Maps:
    """Change RGB, where there is any, or leave it; the other maps are not looked at."""
    if "rgb" not in maps or uniform(0.0, 1.0) >= prob:
        return maps
    return {**maps, "rgb": tv_tensors.wrap(change(maps["rgb"]), like=maps["rgb"])}


def nearest_multiple(length: int, multiple_of: int) -> int:
    """Return the multiple nearest to a length, one at least."""
    return max(1, round(length / multiple_of)) * multiple_of

"""A network that labels images, wherever it comes from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimae.pseudo_labels.formats import Array, HeightWidth, resize
from multimae.pseudo_labels.settings import Precision
from multimae.shapes import Float

LONGEST_SIDE_RATIO = 4
"""A panorama, brought to the shorter side a network was made for, would not fit into memory."""

DTYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class InputSize:
    """Say at which size a network sees an image: both sides are the nearest multiples of `multiple_of`.

    The shorter side becomes `min_side`. With a `max_side` the image stays as large as it is between the two limits: its
    shorter side at least `min_side`, its longer side, which matters more, at most `max_side`.
    """

    min_side: int
    max_side: int | None = None
    multiple_of: int = 32

    def of(self, height_width: HeightWidth) -> HeightWidth:
        """Return the size for an image of this height and width."""
        scale = self.min_side / min(height_width)
        if self.max_side is not None:
            scale = max(scale, 1.0)
        limit = self.max_side or LONGEST_SIDE_RATIO * self.min_side
        scale = min(scale, limit / max(height_width))
        most = max(1, limit // self.multiple_of)
        height, width = (min(max(1, round(length * scale / self.multiple_of)), most) for length in height_width)
        return height * self.multiple_of, width * self.multiple_of


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Turn 8-bit pixels into what a network was trained on: (pixel * `scale` - `mean`) / `std`."""

    mean: Sequence[float]
    std: Sequence[float]
    scale: float = 1 / 255

    def __call__(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        mean, std = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pixels * self.scale - mean) / std


@runtime_checkable
class Encoder(Protocol):
    """Resize one prediction to an image's size and turn it into the codes of a file."""

    def __call__(self, maps: Float[Tensor, "channels _ _"], *, to: HeightWidth) -> Array: ...


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """Label images at their own resolution.

    `network` yields one map an image, of any height and width. `unit` says what a code of the files means, `classes`
    names the codes of a label map.
    """

    modality: str
    unit: str
    network: Callable[[Float[Tensor, "batch 3 height width"]], Iterable[Float[Tensor, "channels _ _"]]]
    encode: Encoder
    input_size: InputSize
    normalisation: Normalisation
    device: torch.device
    precision: Precision
    classes: Mapping[int, str] = field(default_factory=dict)

    def label(self, images: Sequence[NDArray[np.uint8]]) -> list[Array]:
        """Return one map a image, each as it is written; the images, RGB [height, width, 3], share one input size."""
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        (seen_at,) = {self.input_size.of(size) for size in sizes}
        with torch.inference_mode():
            pixels = torch.stack([self._resized(image, to=seen_at) for image in images])
            with torch.autocast(self.device.type, dtype=DTYPES[self.precision], enabled=self.precision != "fp32"):
                predictions = self.network(self.normalisation(pixels))
                return [self.encode(maps.float(), to=size) for maps, size in zip(predictions, sizes, strict=True)]

    def facts(self) -> dict[str, Any]:
        """Return what a reader of the labels needs to know."""
        return {
            "modality": self.modality,
            "unit": self.unit,
            "classes": {str(code): name for code, name in self.classes.items()},
            "input_size": {
                "min_side": self.input_size.min_side,
                "max_side": self.input_size.max_side,
                "multiple_of": self.input_size.multiple_of,
            },
            "normalisation": {"mean": list(self.normalisation.mean), "std": list(self.normalisation.std)},
        }

    def _resized(self, image: NDArray[np.uint8], *, to: HeightWidth) -> Float[Tensor, "3 height width"]:
        # [height, width, 3] -> [3, height, width]
        pixels = torch.from_numpy(image.copy()).to(self.device).permute(2, 0, 1).float()
        return resize(pixels, to=to)

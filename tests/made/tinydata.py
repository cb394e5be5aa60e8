"""A few frames in NYUv2's layout, made from numbers: enough for any code path, written in a second."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (480, 640)  # of NYUv2, whose evaluation crop is given in pixels


def write_frames(root: Path, *, num_train: int = 8, num_test: int = 3) -> Path:
    """Write `root/nyuv2/{train,test}` and return `root`, to be passed as --data-root."""
    for split, count, offset in (("train", num_train, 0), ("test", num_test, 1000)):
        for index in range(count):
            _write_frame(root / "nyuv2" / split, name=f"{offset + index:04d}", seed=offset + index)
    return root


def _write_frame(split: Path, *, name: str, seed: int) -> None:
    """A frame with structure to learn: three upright stripes, each with its colour, depth and class."""
    generator = np.random.default_rng(seed)
    height, width = SIZE
    borders = np.sort(generator.choice(np.arange(80, width - 80), size=2, replace=False))
    stripe = np.searchsorted(borders, np.arange(width), side="right")[None].repeat(height, axis=0)
    noise = generator.integers(-20, 20, size=(height, width, 3))
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    images = {
        "rgb": (colours[stripe] + noise).clip(0, 255).astype(np.uint8),
        "depth": (1500 + 1000 * stripe + generator.integers(0, 50, size=stripe.shape)).astype(np.uint16),
        "semseg": (1 + stripe).astype(np.uint8),
        "mask_valid": np.full(stripe.shape, 255, dtype=np.uint8),
    }
    for modality, array in images.items():
        path = split / modality / "all" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path, compress_level=1)

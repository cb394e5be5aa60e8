"""A data set of a few small images whose every pixel tells where it was."""

from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data.sets.nyuv2 import SPEC

HEIGHT, WIDTH = 48, 64


def coordinates() -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the column of every pixel."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return rows, columns


def maps() -> dict[str, np.ndarray]:
    """Return all modalities as stored: each encodes row and column in its own way."""
    rows, columns = coordinates()
    return {
        "rgb": np.stack([columns * 4, rows * 4, np.full_like(rows, 90)], axis=-1).astype(np.uint8),
        "depth": (1000 + 100 * rows + columns).astype(np.uint16),
        "semseg": (1 + rows // 10 * 8 + columns // 8).astype(np.uint8),
        "mask_valid": np.where((rows < 4) & (columns < 4), 0, 255).astype(np.uint8),
        "normal": np.stack([columns * 2 + 64, rows * 2 + 64, np.full_like(rows, 200)], axis=-1).astype(np.uint8),
    }


def write(root: Path, *, num_train: int = 6, num_test: int = 3) -> Path:
    """Write the data set as `root/nyuv2` and return `root`."""
    for split, names in (("train", range(num_train)), ("test", range(100, 100 + num_test))):
        for modality, array in maps().items():
            folder = root / SPEC.name / split / modality / "all"
            folder.mkdir(parents=True)
            for name in names:
                Image.fromarray(array).save(folder / f"{name:04d}.png")
    return root

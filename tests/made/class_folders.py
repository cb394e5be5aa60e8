"""A small data set of class folders, and what reads it: training, the check, packing."""

import io
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from multimae.data.dataset import OpenedDataset
from multimae.data.folder import MultiModalFolder
from multimae.data.open import open_dataset
from multimae.data.spec import DatasetSpec, spec
from multimae.packing.source import PackSource
from multimae.prepare.conversion import prepare
from multimae.verify.check import Effort, verify

FLOWERS = replace(spec("imagenet"), modalities=("rgb",))
Change = Callable[[Path], object]
NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def photograph(seed: int = 0, kind: str = "PNG", **settings: Any) -> bytes:
    rng = np.random.default_rng(seed)
    content = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(content, kind, **settings)
    return content.getvalue()


def classes(root: Path, *, per_class: int = 4, names: tuple[str, ...] = ("daisy", "rose")) -> Path:
    """Write class folders of photographs, half as many for testing, each image another."""
    for split, count in (("train", per_class), ("test", per_class // 2)):
        for number, label in enumerate(names):
            folder = root / split / "rgb" / label
            folder.mkdir(parents=True)
            for index in range(count):
                name = f"{split}_{index}.png"
                (folder / name).write_bytes(photograph(100 * number + 10 * index + (split == "test")))
    return root


def opened(root: Path, described: DatasetSpec = FLOWERS) -> OpenedDataset:
    return open_dataset(root, described)


def train(root: Path, *, split: str = "train", **changes: Any) -> MultiModalFolder:
    settings = {"root": root, "dataset": "imagenet", "split": split, "modalities": ["rgb"], "labelled": True}
    return MultiModalFolder(**{**settings, "pipeline": lambda sample: sample, **changes})  # type: ignore[arg-type]


def checked(root: Path, described: DatasetSpec = FLOWERS) -> dict[tuple[str, str], str]:
    """Return what the check finds: the details by kind and place."""
    found = verify(opened(root, described), effort=Effort(sample=None))
    return {(entry.kind, entry.name): entry.detail for entry in found.findings}


def pack(root: Path, out: Path, **settings: Any) -> Mapping[str, int]:
    return prepare(PackSource(root=root, dataset="imagenet", **settings), out=out, workers=1).left_out


def put(path: str, content: bytes = b"x") -> Change:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return change


NYUV2 = spec("nyuv2")
MODALITIES = ("rgb", "depth", "semseg")

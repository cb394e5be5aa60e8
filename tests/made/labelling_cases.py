"""What the tests of pseudo labels share: five images, the command, and looks at what it wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from multimae.data_cli import main
from multimae.pseudo_labels.labeller import Labeller
from multimae.pseudo_labels.networks import load_labeller
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.pseudo_labels.sources import find_source

SIZES = {"a/0": (75, 101), "a/1": (64, 64), "b/2": (33, 120), "b/3": (75, 101), "c/d/4": (90, 61)}


def write_images(folder: Path) -> Path:
    """Write five images of four sizes, most of them odd, in folders like ImageNet's."""
    for seed, (name, (height, width)) in enumerate(SIZES.items()):
        path = folder / f"{name}.{'jpg' if seed % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(height, width, seed=seed)).save(path)
    return folder


def picture(height: int, width: int, *, seed: int) -> np.ndarray:
    """Return colours that change over the image, each channel in its own way, with noise on top."""
    rows, columns = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    waves = [rows * 2, columns, 90 + 60 * np.sin((rows + columns) / 9)]
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def run(rgb: Path, out: Path, *options: str | Path) -> int:
    """Run `multimae data pseudo-label` and return its exit code."""
    return main(["pseudo-label", "--rgb", str(rgb), "--out", str(out), *map(str, options)])


def read(path: Path) -> np.ndarray:
    """Return an image's codes."""
    with Image.open(path) as image:
        return np.asarray(image)


def labels(folder: Path) -> dict[str, np.ndarray]:
    """Return the labels below a folder by their names."""
    return {str(path.relative_to(folder).with_suffix("")): read(path) for path in sorted(folder.rglob("*.png"))}


def manifest(folder: Path) -> dict[str, Any]:
    """Return what a folder of labels says about itself."""
    recorded: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return recorded


def labeller_of(folder: Path, modality: str, **settings: Any) -> Labeller:
    """Load the network in a folder."""
    made = LabellingSettings(
        rgb_dir=Path("/images"), out_dir=Path("/labels"), sources={modality: find_source(str(folder))}, **settings
    )
    return load_labeller(modality, settings=made)

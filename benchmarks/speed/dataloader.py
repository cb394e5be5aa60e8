"""CPU time to load one pre-training sample, RGB, depth and labels at 224: the straightforward way and ours.

The straightforward way is what one writes first, and what MultiMAE's code does: Pillow decodes, crops, resizes and
mirrors each file, NumPy and torch make tensors of them. Ours reads the same files, or what `multimae data pack` made of
them. All load the same crops in turn, in one process of one thread; what is printed are medians of process time, and
medians of the ratios round by round. Ours standardises each depth map as well, which the other leaves to the training;
"less depth" is ours without that, what both do.
Exits with 1 if images or labels differ by more than rounding.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as pillow

from experiments.drive.work import ALLOCATOR
from multimae.cache import cache_dir
from multimae.data.arrangements import arrangement
from multimae.data.folder import MultiModalFolder
from multimae.data.layout import PlainDataset
from multimae.data.sample import PlainSamples
from multimae.data.spec import spec
from multimae.packing.source import PackSource
from multimae.prepare.conversion import prepare
from multimae.rooms.archive import unpack
from multimae.tables.modalities import IMAGENET_MEAN, IMAGENET_STD

MODALITIES = ("rgb", "depth", "semseg")
WIDTH_HEIGHT = (500, 375)  # of most of ImageNet's photographs
JPEG_QUALITY = 90
SIZE = 224
STORE_SIZE = 256
SCALE, RATIO = (0.2, 1.0), (3 / 4, 4 / 3)
WARM_UP = 2
LESS = ", less depth"
BASELINE = "straightforward"
# The mean over an image, in its standard deviations, and the share of its labels: half way between two pixels Pillow
# and torch round differently.
IMAGE_TOLERANCE, LABEL_TOLERANCE = 0.01, 0.01

Maps = Mapping[str, Tensor]
Load = Callable[[int], Maps]


def find_frames() -> tuple[str, Path]:
    """Return the data set the frames are of, and where it lies: NYUv2 where it is at hand, else rooms."""
    shared = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    real = shared / "data" / "nyuv2"
    return ("nyuv2", real) if real.is_dir() else ("rooms", unpack(cache_dir()))


def plain_samples(root: Path, *, dataset: str) -> PlainSamples:
    """List the training samples of a folder of plain files."""
    return PlainDataset(root=root, spec=spec(dataset), arrangement=arrangement(root)).samples("train", MODALITIES)


def write_sources(root: Path, *, dataset: str, frames: Path, num: int) -> Path:
    """Write frames at 500x375 as ImageNet and its pseudo labels lie on the disk: JPEGs, 16- and 8-bit PNGs."""
    samples = plain_samples(frames, dataset=dataset)
    for files in samples[:: max(1, len(samples) // num)][:num]:
        for modality, path in files.paths.items():
            suffix = ".jpg" if modality == "rgb" else ".png"
            target = root / "train" / modality / "all" / f"{files.name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            _resized(path, modality).save(target, quality=JPEG_QUALITY)  # PNGs have no quality
    return root


def load_straightforwardly(paths: Mapping[str, Path]) -> Maps:
    """Load a sample with Pillow, one file after the other."""
    images = {modality: _opened(path) for modality, path in paths.items()}
    top, left, height, width = RandomResizedCrop.get_params(images["rgb"], scale=SCALE, ratio=RATIO)
    mirrored = bool(torch.rand(()) < 0.5)
    maps = {}
    for modality, image in images.items():
        resample = Image.Resampling.NEAREST if modality == "semseg" else Image.Resampling.BICUBIC
        cut = pillow.crop(image, top, left, height, width).resize((SIZE, SIZE), resample)
        maps[modality] = _tensor(pillow.hflip(cut) if mirrored else cut, modality)
    return maps


def _opened(path: Path) -> Image.Image:
    with path.open("rb") as file, Image.open(file) as image:
        image.load()
        return image.convert("RGB") if image.mode not in ("I;16", "I", "L", "P") else image.copy()


def _tensor(image: Image.Image, modality: str) -> Tensor:
    if modality == "rgb":
        rgb: Tensor = pillow.normalize(pillow.to_tensor(image), IMAGENET_MEAN, IMAGENET_STD)
        return rgb
    if modality == "depth":
        return torch.from_numpy(np.array(image) / 2**16).float()[None]
    return torch.from_numpy(np.array(image.resize((SIZE // 4, SIZE // 4), Image.Resampling.NEAREST))).long()


def make_loads(root: Path, *, dataset: str, packed: Path) -> dict[str, Load]:
    """Return every way to load a sample by its number, and pack what is to be read packed."""
    plain = plain_samples(root, dataset=dataset)
    loads: dict[str, Load] = {
        BASELINE: lambda index: load_straightforwardly(plain[index].paths),
        "ours, plain files": _our_load(root, dataset=dataset),
    }
    for name, store_size in (("ours, packed", None), (f"ours, packed at {STORE_SIZE}", STORE_SIZE)):
        out = packed / str(store_size)
        source = PackSource(root=root, dataset=dataset, splits=("train",), modalities=MODALITIES, store_size=store_size)
        prepare(source, out=out, workers=1)
        loads[name] = _our_load(out, dataset=dataset)
        loads[f"{name}{LESS}"] = _without_standardization(loads[name])
    return loads


def _without_standardization(load: Load) -> Load:
    def loaded(index: int) -> Maps:
        with patch("multimae.data.transforms.standardize_depth", lambda depth, known: depth):
            return load(index)

    return loaded


def _our_load(root: Path, *, dataset: str) -> Load:
    pipeline = {"type": "multimae.PretrainingAugmentation", "inputs": MODALITIES, "size": SIZE}
    folder = MultiModalFolder(root=root, dataset=dataset, split="train", modalities=MODALITIES, pipeline=pipeline)
    return lambda index: folder[index]["inputs"]


def measure(loads: Mapping[str, Load], *, num: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds per sample of every round; all load the same samples and crops in a round."""
    seconds: dict[str, list[float]] = {name: [] for name in loads}
    for number in range(WARM_UP + rounds):
        for name, load in loads.items():
            torch.manual_seed(number)
            start = time.process_time()
            for index in range(num):
                load(index)
            seconds[name].append((time.process_time() - start) / num)
    return {name: times[WARM_UP:] for name, times in seconds.items()}


def report(seconds: Mapping[str, Sequence[float]]) -> None:
    """Print what every way took."""
    print(f"{'way':34}{'CPU ms a sample':>17}{'ratio':>7}{'(lowest, highest)':>19}")
    for name, times in seconds.items():
        ratios = [one / other for one, other in zip(seconds[BASELINE], times, strict=True)]
        spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
        print(f"{name:34}{1000 * statistics.median(times):>17.2f}{statistics.median(ratios):>7.2f}{spread:>19}")


def largest_differences(loads: Mapping[str, Load], *, num: int, num_classes: int) -> tuple[float, float]:
    """Return how much of an image, and what share of its labels, is at most not as in the straightforward way.

    Only for ways that read all pixels.
    """
    images, labels = [0.0], [0.0]
    for index in range(num):
        maps = {}
        for name, load in loads.items():
            torch.manual_seed(index)
            maps[name] = load(index)
        expected = maps.pop(BASELINE)
        classes = torch.where(expected["semseg"] == 0, num_classes, expected["semseg"] - 1)
        images += [float((found["rgb"] - expected["rgb"]).abs().mean()) for found in maps.values()]
        labels += [float((found["semseg"] != classes).float().mean()) for found in maps.values()]
    return max(images), max(labels)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=15, help=f"measured after {WARM_UP} to warm up")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dataset, frames = find_frames()
    with tempfile.TemporaryDirectory() as folder:
        root = write_sources(Path(folder) / "plain", dataset=dataset, frames=frames, num=arguments.samples)
        loads = make_loads(root, dataset=dataset, packed=Path(folder) / "packed")
        width, height = WIDTH_HEIGHT
        print(f"{arguments.samples} frames of {dataset} at {width}x{height}, medians of {arguments.rounds} rounds")
        report(measure(loads, num=arguments.samples, rounds=arguments.rounds))
        whole = {name: load for name, load in loads.items() if str(STORE_SIZE) not in name}
        num_classes = spec(dataset).num_classes
        images, labels = largest_differences(whole, num=arguments.samples, num_classes=num_classes)
    print(f"\nlargest differences: {images:.4f} standard deviations of an image, {labels:.2%} of its labels")
    return int(images > IMAGE_TOLERANCE or labels > LABEL_TOLERANCE)


def _as_in_jobs() -> None:
    """Start again with the settings of memory that the driver gives its jobs, and one thread."""
    wanted = {**ALLOCATOR, "OMP_NUM_THREADS": "1"}
    if not wanted.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def _resized(path: Path, modality: str) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    if modality == "semseg":
        return image.resize(WIDTH_HEIGHT, Image.Resampling.NEAREST)
    if modality == "rgb":
        return image.convert("RGB").resize(WIDTH_HEIGHT, Image.Resampling.BICUBIC)
    # Smoothly, with all 16 bits in use as in a network's maps, where NYUv2's come in steps that compress too well.
    millimetres = Image.fromarray(np.asarray(image).astype(np.float32)).resize(WIDTH_HEIGHT, Image.Resampling.BICUBIC)
    return Image.fromarray(np.asarray(millimetres).round().clip(1, 65535).astype(np.uint16))


if __name__ == "__main__":
    _as_in_jobs()
    sys.exit(main())

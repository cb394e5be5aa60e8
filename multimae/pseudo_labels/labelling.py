"""Label a list of images with one or several networks; what is there already stays."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimae.data.sample import DataError
from multimae.pseudo_labels.formats import HeightWidth, is_whole, write_map
from multimae.pseudo_labels.images import label_name, list_images, read_image
from multimae.pseudo_labels.labeller import Labeller
from multimae.pseudo_labels.manifest import claim
from multimae.pseudo_labels.networks import load_labeller
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.versions import versions

PACKAGES = ("multimae", "torch", "transformers", "numpy", "pillow")
NUM_THREADS = 4
BATCHES_READ_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class LabellingProgress:
    """How far a labelling is, in maps; `broken` are the messages on images that could not be read since the last."""

    done: int
    total: int
    skipped: int
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Image:
    """An image that lacks labels of some modalities; `pixels` is what is wrong with the file if it is a message."""

    name: str
    modalities: tuple[str, ...]
    pixels: NDArray[np.uint8] | str


def label_images(settings: LabellingSettings) -> Iterator[LabellingProgress]:
    """Write what is missing, yielding after every batch; every map that was written is whole whenever this is left."""
    images = list_images(settings.rgb_dir)[settings.shard :: settings.num_shards]
    total = len(images) * len(settings.sources)
    missing = {image: modalities for image in images if (modalities := _missing(image, settings=settings))}
    skipped = done = total - sum(map(len, missing.values()))
    yield LabellingProgress(done=done, total=total, skipped=skipped)
    if not missing:
        return
    labellers = [_open(modality, settings=settings) for modality in settings.sources]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for window in _read_ahead(missing, settings=settings, pool=pool):
            broken = tuple(image.pixels for image in window if isinstance(image.pixels, str))
            if broken:
                yield LabellingProgress(done=done, total=total, skipped=skipped, broken=broken)
            for labeller in labellers:
                for batch in _batches(window, labeller=labeller, batch_size=settings.batch_size):
                    _label(batch, labeller=labeller, folder=settings.folder(labeller.modality), pool=pool)
                    done += len(batch)
                    yield LabellingProgress(done=done, total=total, skipped=skipped)


def _missing(image: str, *, settings: LabellingSettings) -> tuple[str, ...]:
    name = label_name(image)
    return tuple(modality for modality in settings.sources if not is_whole(settings.folder(modality) / name))


def _open(modality: str, *, settings: LabellingSettings) -> Labeller:
    """Load a network and put its manifest into the folder of its labels."""
    labeller = load_labeller(modality, settings=settings)
    source = settings.sources[modality]
    manifest = {
        "schema": 1,
        "model": source.model,
        "model_kind": source.kind,
        **labeller.facts(),
        "rgb_dir": str(settings.rgb_dir),
        "packages": versions(PACKAGES),
    }
    claim(settings.folder(modality), manifest=manifest, identity=settings.identity(modality))
    return labeller


def _read_ahead(
    missing: dict[str, tuple[str, ...]], *, settings: LabellingSettings, pool: ThreadPoolExecutor
) -> Iterator[list[_Image]]:
    """Yield windows of several batches of images, decoding the next while this one is labelled."""
    size = BATCHES_READ_AHEAD * settings.batch_size
    names = list(missing)
    windows = [names[start : start + size] for start in range(0, len(names), size)]

    def start(window: Sequence[str]) -> list[Future[_Image]]:
        return [pool.submit(_read, settings.rgb_dir, name, missing[name]) for name in window]

    reading = start(windows[0])
    for following in [*windows[1:], []]:
        window = [future.result() for future in reading]
        reading = start(following)
        yield window


def _read(rgb_dir: Path, name: str, modalities: tuple[str, ...]) -> _Image:
    try:
        pixels: NDArray[np.uint8] | str = read_image(rgb_dir / name)
    except DataError as error:
        pixels = str(error)
    return _Image(name=name, modalities=modalities, pixels=pixels)


def _batches(window: Sequence[_Image], *, labeller: Labeller, batch_size: int) -> Iterator[list[_Image]]:
    """Yield the images that lack this labeller's maps, in batches that the network sees at one size."""
    by_size: dict[HeightWidth, list[_Image]] = defaultdict(list)
    for image in window:
        if labeller.modality in image.modalities and not isinstance(image.pixels, str):
            by_size[labeller.input_size.of(image.pixels.shape[:2])].append(image)
    for alike in by_size.values():
        for start in range(0, len(alike), batch_size):
            yield alike[start : start + batch_size]


def _label(batch: Sequence[_Image], *, labeller: Labeller, folder: Path, pool: ThreadPoolExecutor) -> None:
    maps: list[NDArray[Any]] = labeller.label([image.pixels for image in batch if not isinstance(image.pixels, str)])
    writing = [
        pool.submit(write_map, folder / label_name(image.name), codes) for image, codes in zip(batch, maps, strict=True)
    ]
    for future in writing:
        future.result()

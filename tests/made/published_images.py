"""Tiny images in the folders and archives in which ImageNet, ADE20K and Taskonomy are published."""

import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from multimae.tables.modalities import MODALITIES

Array = NDArray[Any]
HEIGHT, WIDTH = 40, 48


def png(array: Array) -> bytes:
    """Encode a map."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(seed: int) -> bytes:
    """Encode a photograph that no other seed has."""
    buffer = BytesIO()
    Image.fromarray(_colours(seed)).save(buffer, "JPEG")
    return buffer.getvalue()


def _colours(seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def label_map(seed: int, *, classes: int) -> bytes:
    """Encode labels from 0 to `classes`."""
    return png(np.random.default_rng(seed).integers(0, classes + 1, (HEIGHT, WIDTH)).astype(np.uint8))


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by their path below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def tar(files: Mapping[str, bytes]) -> bytes:
    """Make a tar with a folder in front, as GNU tar does."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Make a zip."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def ade20k(*, num_train: int = 6, num_val: int = 3) -> dict[str, bytes]:
    """Return the files of ADEChallengeData2016, below it."""
    files = {"objectInfo150.txt": b"Idx\tRatio", "sceneCategories.txt": b"ADE_train_00000001 room"}
    for split, short, count in (("training", "train", num_train), ("validation", "val", num_val)):
        for index in range(1, count + 1):
            name, seed = f"ADE_{short}_{index:08d}", index + (1000 if short == "val" else 0)
            files[f"images/{split}/{name}.jpg"] = jpeg(seed)
            files[f"annotations/{split}/{name}.png"] = label_map(seed, classes=150)
    return files


def domain_map(domain: str, *, seed: int) -> bytes:
    """Encode a map of Taskonomy in the codes of its domain."""
    generator = np.random.default_rng(seed)
    if domain in ("rgb", "normal", "principal_curvature"):
        return png(_colours(seed))
    if domain == "mask_valid":
        return png(np.where(generator.uniform(size=(HEIGHT, WIDTH)) < 0.9, 255, 0).astype(np.uint8))
    eight_bits = MODALITIES[domain].full_scale == 255
    codes = generator.integers(1, 256 if eight_bits else 65535, (HEIGHT, WIDTH))
    return png(codes.astype(np.uint8 if eight_bits else np.uint16))


def taskonomy(views: Mapping[str, int], *, domains: Iterable[str]) -> dict[str, bytes]:
    """Return the files of Taskonomy, below its root: so many views of each building."""
    files = {}
    for domain in domains:
        named = "depth_zbuffer" if domain == "mask_valid" else domain
        for number, (building, count) in enumerate(views.items()):
            for view in range(count):
                name = f"{domain}/{building}/point_{view}_view_{view % 3}_domain_{named}.png"
                files[name] = domain_map(domain, seed=1000 * number + view)
    return files


def split_table(names: Sequence[str]) -> bytes:
    """Return a table of images `building/point/view`."""
    return "\n".join(["building,point,view", *(name.replace("/", ",") for name in names), ""]).encode()


CLASSES = ("n01440764", "n01443537")


def imagenet_val_classes(count: int) -> list[str]:
    """Return a class for each validation image, in their order; not simply in turn."""
    return [CLASSES[(index // 2) % 2] for index in range(count)]


def imagenet_class(label: str, *, count: int) -> dict[str, bytes]:
    """Return the training images of a class."""
    return {f"{label}_{index}.JPEG": jpeg(int(label[1:]) + index) for index in range(count)}


def imagenet_val(count: int) -> dict[str, bytes]:
    """Return the validation images, in no folders."""
    return {f"ILSVRC2012_val_{index:08d}.JPEG": jpeg(5000 + index) for index in range(1, count + 1)}


def development_kit(num_val: int) -> bytes:
    """Return ILSVRC2012_devkit_t12.tar.gz for the two classes, whose numbers there are 2 and 1."""
    numbers = {label: number for number, label in enumerate(reversed(CLASSES), start=1)}
    synsets = np.array(
        [(number, label, "words") for label, number in numbers.items()],
        dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("words", object)],
    )
    meta, packed = BytesIO(), BytesIO()
    savemat(meta, {"synsets": synsets})
    truth = "".join(f"{numbers[label]}\n" for label in imagenet_val_classes(num_val)).encode()
    data = {"meta.mat": meta.getvalue(), "ILSVRC2012_validation_ground_truth.txt": truth}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in data.items():
            info = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return packed.getvalue()

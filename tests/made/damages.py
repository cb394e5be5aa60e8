"""Ways to damage the data set of `tiny_dataset`, each with the finding that the check must come to."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.made import tiny_dataset

HEIGHT_WIDTH = (tiny_dataset.HEIGHT, tiny_dataset.WIDTH)
Damage = Callable[[Path], object]


def save(path: str, pixels: Any, dtype: type = np.uint8) -> Damage:
    """Return what overwrites a file with such pixels."""
    array = np.broadcast_to(np.asarray(pixels, dtype), HEIGHT_WIDTH) if np.ndim(pixels) == 0 else pixels
    return lambda root: Image.fromarray(np.ascontiguousarray(array)).save(root / path)


def cut(path: str, *, keep: float) -> Damage:
    def damage(root: Path) -> None:
        content = (root / path).read_bytes()
        (root / path).write_bytes(content[: int(keep * len(content))])

    return damage


def write(path: str, text: str) -> Damage:
    return lambda root: (root / path).write_text(text)


def link_to_nothing(path: str) -> Damage:
    def damage(root: Path) -> None:
        (root / path).unlink()
        (root / path).symlink_to("gone")

    return damage


def bomb(path: str) -> Damage:
    """Return what makes a file's head promise more pixels than Pillow dares to decode."""

    def damage(root: Path) -> None:
        content = bytearray((root / path).read_bytes())
        content[16:24] = (100_000).to_bytes(4) * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
        (root / path).write_bytes(content)

    return damage


def leak(root: Path) -> None:
    for modality in tiny_dataset.maps():
        shutil.copy(root / f"train/{modality}/all/0003.png", root / f"test/{modality}/all/0003.png")


def without(split: str, modality: str) -> Damage:
    return lambda root: shutil.rmtree(root / split / modality)


ROWS = "name,label\n" + "".join(f"{index:04d},bedroom\n" for index in range(6))
ODD = np.array([[41, 41], [255, 1]], np.uint8)
LARGE = np.arange(96 * 128 * 3, dtype=np.uint32).reshape(96, 128, 3).astype(np.uint8)
DAMAGED: dict[str, tuple[Damage, tuple[str, str, str, str], str]] = {
    "partner": (
        lambda root: (root / "train/depth/all/0002.png").unlink(),
        ("missing_partner", "train", "depth", "0002"),
        "",
    ),
    "partner in test": (
        lambda root: (root / "test/rgb/all/0101.png").unlink(),
        ("missing_partner", "test", "rgb", "0101"),
        "",
    ),
    "truncated": (
        cut("train/depth/all/0001.png", keep=0.6),
        ("undecodable", "train", "depth", "train/depth/all/0001.png"),
        "cannot be decoded as depth: ",
    ),
    "empty file": (
        cut("test/semseg/all/0100.png", keep=0),
        ("undecodable", "test", "semseg", "test/semseg/all/0100.png"),
        "cannot identify image file",
    ),
    "link to nothing": (
        link_to_nothing("train/rgb/all/0005.png"),
        ("undecodable", "train", "rgb", "train/rgb/all/0005.png"),
        "FileNotFoundError",
    ),
    "bomb": (
        bomb("train/rgb/all/0004.png"),
        ("too_large", "train", "rgb", "train/rgb/all/0004.png"),
        "has more pixels than the 178,956,970 that are read",
    ),
    "8-bit depth": (
        save("train/depth/all/0001.png", 7),
        ("format", "train", "depth", "train/depth/all/0001.png"),
        "depth has image mode L, wanted one of ['I', 'I;16']",
    ),
    "16-bit rgb": (
        save("train/rgb/all/0001.png", 7, np.uint16),
        ("format", "train", "rgb", "train/rgb/all/0001.png"),
        "rgb has image mode I;16",
    ),
    "colour labels": (
        save("train/semseg/all/0001.png", np.ones((*HEIGHT_WIDTH, 3), np.uint8)),
        ("format", "train", "semseg", "train/semseg/all/0001.png"),
        "semseg has image mode RGB",
    ),
    "labels": (
        save("train/semseg/all/0001.png", np.tile(ODD, (24, 32))),
        ("values", "train", "semseg", "train/semseg/all/0001.png"),
        "2304 pixels hold the values [41, 255]; nyuv2 has labels 1 to 40, and 0 for unlabelled",
    ),
    "validity": (
        save("train/mask_valid/all/0001.png", 1),
        ("values", "train", "mask_valid", "train/mask_valid/all/0001.png"),
        "3072 pixels hold the values [1]",
    ),
    "sizes": (
        save("train/rgb/all/0001.png", LARGE),
        ("size", "train", "", "0001"),
        "rgb is 128x96, depth is 64x48",
    ),
    "no depth": (
        save("train/depth/all/0001.png", 0, np.uint16),
        ("no_depth", "train", "depth", "train/depth/all/0001.png"),
        "every pixel is 0",
    ),
    "nothing valid": (
        save("train/mask_valid/all/0001.png", 0),
        ("nothing_valid", "train", "mask_valid", "train/mask_valid/all/0001.png"),
        "every pixel is 0",
    ),
    "unlabelled": (
        save("train/semseg/all/0001.png", 0),
        ("unlabelled", "train", "semseg", "train/semseg/all/0001.png"),
        "every pixel is unlabelled",
    ),
    "one colour": (
        save("train/rgb/all/0001.png", np.full((*HEIGHT_WIDTH, 3), (9, 8, 7), np.uint8)),
        ("constant", "train", "rgb", "train/rgb/all/0001.png"),
        "every pixel is [9, 8, 7]",
    ),
    "no normals": (
        save("train/normal/all/0001.png", np.zeros((*HEIGHT_WIDTH, 3), np.uint8)),
        ("constant", "train", "normal", "train/normal/all/0001.png"),
        "every normal is missing",
    ),
    "modality of one split": (without("test", "depth"), ("missing_in_split", "test", "depth", ""), ""),
    "other name": (
        lambda root: [(root / split / "mask_valid").rename(root / split / "mask") for split in ("train", "test")][:0],
        ("unknown_folder", "train", "mask", ""),
        "no modality 'mask'; did you mean mask_valid",
    ),
    "two files": (
        lambda root: (root / "train/rgb/all/0001.jpg").touch(),
        ("unlistable", "train", "rgb", ""),
        "two files for one sample",
    ),
    "leak": (leak, ("leak", "test", "", "0003"), "train/rgb/all/0003.png is test/rgb/all/0003.png"),
    "row without a comma": (
        write("train/labels.csv", ROWS + "0007\n"),
        ("label_rows", "train", "", "labels.csv"),
        "row 8 is '0007', wanted name,label",
    ),
    "row without a file": (
        write("train/labels.csv", ROWS + "0007,x\n"),
        ("label_rows", "train", "", "0007"),
        "no file",
    ),
    "file without a row": (
        write("train/labels.csv", ROWS.replace("0003,bedroom\n", "")),
        ("label_rows", "train", "", "0003"),
        "has no row",
    ),
    "pseudo labels": (
        write("test/semseg/manifest.json", json.dumps({"classes": {"0": "person"}})),
        ("other_classes", "test", "semseg", ""),
        "1 classes, first ('0', 'person'); nyuv2 has 40, first ('1', 'wall')",
    ),
}

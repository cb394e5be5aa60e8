"""Put rendered frames on disk in the layout that all data sets share, each file whole or not at all."""

import json
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.layout import NO_CLASS
from multimae.data.sets.rooms import CLASSES, COMPUTED

if TYPE_CHECKING:
    from multimae.rooms.render.frames import Frame

JPEG_QUALITY = 92
SMALLEST = 9
VIEWS_PER_ROOM = 2
EXTENSIONS = {"rgb": "jpg", **dict.fromkeys(("depth", "semseg", "mask_valid", "normal", *COMPUTED), "png")}


def frame_path(out: Path, *, split: str, modality: str, index: int) -> Path:
    """Name one file of one frame."""
    return out / split / modality / "all" / f"{index:05d}.{EXTENSIONS[modality]}"


def finished(out: Path, *, split: str, index: int) -> bool:
    """Say whether all files of a frame are there; rgb is written last, so one look is enough."""
    return frame_path(out, split=split, modality="rgb", index=index).exists()


def write_frame(frame: "Frame", *, out: Path, split: str, index: int) -> None:
    """Write a frame's files, rgb last; what kind of room it shows goes into a file of its own, for `write_labels`."""
    write_whole(_label_path(out, split=split, index=index), f"{frame.kind}\n".encode())
    valid = np.where(frame.depth > 0, 255, 0).astype(np.uint8)
    maps: tuple[NDArray[Any], ...] = (frame.depth, frame.semseg, valid, frame.normal)
    for modality, map_ in zip(("depth", "semseg", "mask_valid", "normal"), maps, strict=True):
        write_whole(frame_path(out, split=split, modality=modality, index=index), png(map_, level=SMALLEST))
    photograph = BytesIO()
    Image.fromarray(frame.rgb).save(photograph, "JPEG", quality=JPEG_QUALITY, optimize=True)
    write_whole(frame_path(out, split=split, modality="rgb", index=index), photograph.getvalue())


def write_labels(out: Path, *, split: str) -> None:
    """List the kind of room of every frame of a split in its labels.csv (name,label)."""
    paths = sorted(_label_path(out, split=split, index=0).parent.glob("*.txt"))
    rows = [f"{path.stem},{path.read_text('utf-8').strip()}" for path in paths]
    if rows:
        write_whole(out / split / "labels.csv", "\n".join(["name,label", *rows, ""]).encode())


def write_classes(out: Path, *, seed: int, size: str, samples: int) -> None:
    """Write classes.json; refuse a folder that was begun with other settings, as its frames would not match."""
    path = out / "classes.json"
    content = {"classes": list(CLASSES), "seed": seed, "size": size, "samples_per_pixel": samples}
    if path.exists() and (found := json.loads(path.read_text("utf-8"))) != content:
        changed = {key: (found.get(key), value) for key, value in content.items() if found.get(key) != value}
        raise ValueError(f"{out} was begun with other settings {changed} (there, wanted); choose another --out")
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def png(array: NDArray[Any], *, level: int) -> bytes:
    """Encode an array; `level` is from 0, uncompressed, to 9."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _label_path(out: Path, *, split: str, index: int) -> Path:
    return out / split / "label" / NO_CLASS / f"{index:05d}.txt"

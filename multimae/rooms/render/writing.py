"""Write rendered frames in the layout that all data sets share."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.encode import png
from multimae.data.files import why_no_folder
from multimae.data.sets.rooms import CLASSES
from multimae.rooms.frame_files import FrameFiles, write_whole
from multimae.rooms.render.renderer import Frame

JPEG_QUALITY = 92
SMALLEST = 9


def write_frame(frame: Frame, *, files: FrameFiles) -> None:
    """Write a frame's files, rgb last, and the kind of room it shows into a file of its own."""
    write_whole(files.label_path, f"{frame.kind}\n".encode())
    valid = np.where(frame.depth > 0, 255, 0).astype(np.uint8)
    maps: tuple[NDArray[Any], ...] = (frame.depth, frame.semseg, valid, frame.normal)
    for modality, map_ in zip(("depth", "semseg", "mask_valid", "normal"), maps, strict=True):
        write_whole(files.path(modality), png(map_, level=SMALLEST))
    photograph = BytesIO()
    Image.fromarray(frame.rgb).save(photograph, "JPEG", quality=JPEG_QUALITY, optimize=True)
    write_whole(files.path("rgb"), photograph.getvalue())


def write_labels(out: Path, *, split: str) -> None:
    """List the kind of room of every frame of a split in its labels.csv (name,label)."""
    paths = sorted(FrameFiles(out=out, split=split, index=0).label_path.parent.glob("*.txt"))
    rows = [f"{path.stem},{path.read_text('utf-8').strip()}" for path in paths if why_no_folder(path.name) is None]
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

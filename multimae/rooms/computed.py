"""Compute the maps of rooms that are not shipped: Taskonomy's domains, and labels in COCO's classes.

They follow from the stored depth, normals, photographs and labels, and are written beside them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.encode import png
from multimae.data.files import PHOTOGRAPHIC, images_in
from multimae.data.sets.rooms import COMPUTED
from multimae.rooms.coco_labels import in_coco
from multimae.rooms.domains import View, codes
from multimae.rooms.focal_length import focal_length
from multimae.rooms.frame_files import FrameFiles, write_whole
from multimae.rooms.surfaces import Surfaces, dot


def lacking(out: Path, *, split: str) -> Iterator[FrameFiles]:
    """Yield the frames of a split that lack what is computed."""
    for path in images_in(out / split / "rgb" / "all", reads=PHOTOGRAPHIC):
        files = FrameFiles(out=out, split=split, index=int(path.stem))
        if not files.path(COMPUTED[-1]).exists():
            yield files


def write_computed(files: FrameFiles) -> None:
    """Write what is computed of a frame, in the order of `COMPUTED`: the last says that all are there."""
    stored = {**codes(_view(files)), "pseudo_semseg": in_coco(_pixels(files.path("semseg")))}
    for modality in COMPUTED:
        write_whole(files.path(modality), png(stored[modality]))


def _view(files: FrameFiles) -> View:
    depth_m = _pixels(files.path("depth")) / 1000
    normal = _pixels(files.path("normal")) / 127.5 - 1
    normal /= np.sqrt(dot(normal, normal))[..., None]
    valid = _pixels(files.path("mask_valid")) == 255
    focal = focal_length(depth_m=depth_m, normal=normal, valid=valid)
    surfaces = Surfaces(depth_m=depth_m, normal=normal, valid=valid, focal=focal)
    return View(rgb=_pixels(files.path("rgb")), surfaces=surfaces)


def _pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.array(image)

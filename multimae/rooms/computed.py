"""Put beside the frames of rooms what is not shipped: Taskonomy's domains, and labels in COCO's words.

All are computed from depth, normals, photographs and labels as stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multimae.data.sets.rooms import COMPUTED
from multimae.prepare.images import PNG_LEVEL
from multimae.rooms.coco import in_coco
from multimae.rooms.domains import View, codes
from multimae.rooms.focal_length import focal_length
from multimae.rooms.store import frame_path, png, write_whole
from multimae.rooms.surfaces import Surfaces, dot


@dataclass(frozen=True, kw_only=True)
class Place:
    """Name one frame on disk."""

    out: Path
    split: str
    index: int

    def path(self, modality: str) -> Path:
        return frame_path(self.out, split=self.split, modality=modality, index=self.index)


def lacking(out: Path, *, split: str) -> Iterator[Place]:
    """Yield the frames of a split that lack what is computed."""
    for path in sorted((out / split / "rgb" / "all").glob("*.jpg")):
        place = Place(out=out, split=split, index=int(path.stem))
        if not place.path(COMPUTED[-1]).exists():
            yield place


def write_computed(place: Place) -> None:
    """Write what is computed of a frame, in the order of `COMPUTED`: the last says that all are there."""
    stored = {**codes(_view(place)), "pseudo_semseg": in_coco(_pixels(place.path("semseg")))}
    for modality in COMPUTED:
        write_whole(place.path(modality), png(stored[modality], level=PNG_LEVEL))


def _view(place: Place) -> View:
    depth_m = _pixels(place.path("depth")) / 1000
    normal = _pixels(place.path("normal")) / 127.5 - 1
    normal /= np.sqrt(dot(normal, normal))[..., None]
    valid = _pixels(place.path("mask_valid")) == 255
    focal = focal_length(depth_m=depth_m, normal=normal, valid=valid)
    surfaces = Surfaces(depth_m=depth_m, normal=normal, valid=valid, focal=focal)
    return View(rgb=_pixels(place.path("rgb")), surfaces=surfaces)


def _pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.array(image)

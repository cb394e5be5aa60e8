"""The labels of rooms in COCO's classes, as coarse as those of a network: they stand in for pseudo labels."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from multimae.data import coco
from multimae.data.sets import rooms

STRIDE = 4
UNLABELLED = 255
IN_COCO: Mapping[str, str] = MappingProxyType(
    {
        "wall": "wall-other-merged",
        "floor": "floor-other-merged",
        "cabinet": "cabinet-merged",
        "bed": "bed",
        "chair": "chair",
        "sofa": "couch",
        "table": "dining table",
        "door": "door-stuff",
        "window": "window-other",
        "bookshelf": "shelf",
        "picture": "wall-other-merged",
        "curtain": "curtain",
        "pillow": "pillow",
        "floor mat": "rug-merged",
        "ceiling": "ceiling-merged",
        "books": "book",
        "television": "tv",
        "box": "cardboard",
        "lamp": "light",
        "otherprop": "potted plant",
    }
)
"""The nearest class of COCO for each of rooms; for pictures there is none but the wall they hang on."""

_CODES = np.array([UNLABELLED, *(coco.CLASSES.index(IN_COCO[name]) for name in rooms.CLASSES)], dtype=np.uint8)


def in_coco(semseg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return COCO's classes, from 0, of a map of labels of rooms; blocks of 4x4 pixels share their centre's."""
    height, width = semseg.shape
    coarse = semseg[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    blocks = coarse.repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)[:height, :width]
    return _CODES[blocks]

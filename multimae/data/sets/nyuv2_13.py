"""NYU Depth v2 with 13 classes, the coarser set of Couprie et al. (ICLR 2013), on the same files as the 40."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from multimae.data.sets import nyuv2
from multimae.data.spec import distinct_palette

CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects",
    "picture", "sofa", "table", "tv", "wall", "window",
)  # fmt: skip

MEMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bed": ("bed",),
        "books": ("books",),
        "ceiling": ("ceiling",),
        "chair": ("chair",),
        "floor": ("floor", "floor mat"),
        "furniture": (
            "cabinet", "bookshelf", "counter", "shelves", "dresser", "refridgerator", "night stand", "otherfurniture",
        ),
        "objects": (
            "pillow", "mirror", "clothes", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "toilet",
            "sink", "lamp", "bathtub", "bag", "otherstructure", "otherprop",
        ),
        "picture": ("picture",),
        "sofa": ("sofa",),
        "table": ("table", "desk"),
        "tv": ("television",),
        "wall": ("wall", "door"),
        "window": ("window", "blinds", "curtain"),
    }
)  # fmt: skip
"""The classes among 40 that each of the 13 stands for."""

CODES = {member: code for code, name in enumerate(CLASSES, start=1) for member in MEMBERS[name]}

SPEC = replace(
    nyuv2.SPEC,
    name="nyuv2_13",
    title="NYU Depth v2, 13 classes",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    label_map=(0, *(CODES[name] for name in nyuv2.CLASSES)),
    folders=("nyuv2",),
)

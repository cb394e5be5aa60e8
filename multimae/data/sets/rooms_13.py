"""Rooms with the 13 coarser classes of NYUv2: what stands in for `nyuv2_13`, on the same files as rooms."""

from dataclasses import replace

from multimae.data.sets import nyuv2_13, rooms
from multimae.data.spec import distinct_palette

SPEC = replace(
    rooms.SPEC,
    name="rooms_13",
    title="Rooms (rendered), 13 classes",
    classes=nyuv2_13.CLASSES,
    palette=distinct_palette(len(nyuv2_13.CLASSES)),
    label_map=(0, *(nyuv2_13.CODES[name] for name in rooms.CLASSES)),
    folders=("rooms",),
)

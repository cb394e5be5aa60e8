"""Rooms: the data set that ships with the package, indoor scenes rendered with exact depth, normals and labels."""

from multimae.data.spec import DatasetSpec, distinct_palette
from multimae.tables.modalities import MODALITIES

CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "curtain", "pillow", "floor mat", "ceiling", "books", "television", "box", "lamp", "otherprop",
)  # fmt: skip

DOMAINS = tuple(name for name, modality in MODALITIES.items() if modality.kind == "domain")
COMPUTED = (*DOMAINS, "pseudo_semseg")
"""Modalities that are computed from the shipped ones once: Taskonomy's domains, and labels in COCO's classes."""

HOW_TO_GET = """\
Rooms ships with the package: leave --data-root out, or render more of it with
  pip install multimae[rooms]
  multimae data prepare rooms --train 2000 --size 320x240 --out DIR"""

SPEC = DatasetSpec(
    name="rooms",
    title="Rooms (rendered)",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    # Of all pixels of the shipped training frames, as multimae.rooms.render.pack prints them.
    depth_mean_mm=2960.3,
    depth_std_mm=861.5,
    max_depth_m=8.0,
    modalities=("rgb", "depth", "semseg", "normal", *COMPUTED),
    licence="CC0-1.0; rendered by this project from shapes and textures of its own",
    how_to_get=HOW_TO_GET,
)

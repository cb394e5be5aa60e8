"""Rooms: the data set that ships with the package, indoor scenes rendered with exact depth, normals and labels."""

from pathlib import Path



ARCHIVE = Path(__file__).with_name("rooms.tar.xz")

CLASSES = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "curtain",
    "pillow",
    "floor mat",
    "ceiling",
    "books",
    "television",
    "box",
    "lamp",
    "otherprop",
)

"""Name the files of a rendered frame, and put each on disk whole or not at all."""

import os
from dataclasses import dataclass
from pathlib import Path

from multimae.data.arrangements import NO_CLASS
from multimae.data.sets.rooms import COMPUTED

VIEWS_PER_ROOM = 2
EXTENSIONS = {"rgb": "jpg", **dict.fromkeys(("depth", "semseg", "mask_valid", "normal", *COMPUTED), "png")}


@dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """Name the files of one frame below `out`; frames are counted from 0 in every split."""

    out: Path
    split: str
    index: int

    def path(self, modality: str) -> Path:
        """Return the file of a modality."""
        return self.out / self.split / modality / NO_CLASS / f"{self.index:05d}.{EXTENSIONS[modality]}"

    @property
    def label_path(self) -> Path:
        """The file that holds the kind of room, for the split's labels.csv."""
        return self.out / self.split / "label" / NO_CLASS / f"{self.index:05d}.txt"

    @property
    def rendered(self) -> bool:
        """Whether all rendered files are there: rgb is written last, so one look is enough."""
        return self.path("rgb").exists()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(data)
    unfinished.replace(path)

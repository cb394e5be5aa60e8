"""What Hypersim's release holds: scene folders, the official split, the cameras."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from multimae.data.sample import DataError, DataNotFoundError
from multimae.prepare.hypersim_camera import STANDARD, Matrix, read_cameras

SPLIT_TABLE, CAMERA_TABLE = "metadata_images_split_scene_v1.csv", "metadata_camera_parameters.csv"
SPLITS = ("train", "val", "test")
COLUMNS = frozenset({"scene_name", "camera_name", "frame_id", "included_in_public_release", "split_partition_name"})
# Beside the scenes, or where the data set's repository and its download script have them.
SCENE_FOLDERS = (".", "scenes", "evermotion_dataset/scenes")
TABLE_FOLDERS = (".", "..", "evermotion_dataset/analysis", "contrib/mikeroberts3000", "analysis", "../analysis")
NAME = re.compile(r"(ai_\d+_\d+)_(cam_\d+)_(\d+)")


@dataclass(frozen=True, kw_only=True)
class Release:
    """Hypersim as published, below `root`."""

    root: Path

    @cached_property
    def scenes(self) -> Mapping[str, Path]:
        """Find the folders of the scenes that are here."""
        found = (folder for place in SCENE_FOLDERS for folder in (self.root / place).glob("ai_*") if folder.is_dir())
        return {folder.name: folder for folder in found}

    @cached_property
    def split_of(self) -> Mapping[str, str]:
        """Return the split of each frame that is to be prepared, by name: scene, camera and number."""
        return {_name(row): row["split_partition_name"] for row in self._rows if not self._reason(row)}

    @cached_property
    def cameras(self) -> Mapping[str, Matrix]:
        """Return the cameras of scenes; none where there is no table of them."""
        path = self._table(CAMERA_TABLE)
        return read_cameras(path) if path else {}

    @cached_property
    def left_out(self) -> Mapping[str, int]:
        """Count the other frames, by reason."""
        return dict(Counter(reason for row in self._rows if (reason := self._reason(row))))

    @property
    def has_hdr(self) -> bool:
        """Say whether any frame's HDR image is here."""
        return any(next(scene.glob("images/*_final_hdf5/*.color.hdf5"), None) for scene in self.scenes.values())

    def camera(self, name: str) -> Matrix:
        """Return the camera of a frame: its scene's in the table of cameras, the standard one where there is none."""
        if not self.cameras:
            return STANDARD
        scene = _parts(name)[0]
        if scene not in self.cameras:
            raise DataError(f"{self._table(CAMERA_TABLE)} has no camera of {scene}; take it from the repository again")
        return self.cameras[scene]

    def geometry(self, name: str, *, kind: str) -> Path:
        """Return the file of a frame's `depth_meters`, `semantic` or `render_entity_id`."""
        scene, camera, number = _parts(name)
        return self._images(scene) / f"scene_{camera}_geometry_hdf5" / f"frame.{number}.{kind}.hdf5"

    def colour(self, name: str) -> Path:
        """Return the file of a frame's HDR image."""
        scene, camera, number = _parts(name)
        return self._images(scene) / f"scene_{camera}_final_hdf5" / f"frame.{number}.color.hdf5"

    def preview(self, name: str) -> Path:
        """Return the file of a frame's tone-mapped JPEG."""
        scene, camera, number = _parts(name)
        return self._images(scene) / f"scene_{camera}_final_preview" / f"frame.{number}.tonemap.jpg"

    @cached_property
    def _rows(self) -> tuple[Mapping[str, str], ...]:
        path = self._table(SPLIT_TABLE)
        if path is None:
            raise DataNotFoundError(
                f"{SPLIT_TABLE} is not in {self.root}. It says which frames are for training, and lies in the data "
                "set's repository, apple/ml-hypersim, in evermotion_dataset/analysis; put it there"
            )
        with path.open(newline="", encoding="utf-8") as file:
            rows = tuple(csv.DictReader(file))
        if missing := COLUMNS - set(rows[0] if rows else ()):
            raise DataError(f"{path} lacks the columns {sorted(missing)}; take it from the repository again")
        return rows

    def _images(self, scene: str) -> Path:
        return self.scenes[scene] / "images"

    def _table(self, name: str) -> Path | None:
        return next((path for place in TABLE_FOLDERS if (path := self.root / place / name).is_file()), None)

    def _reason(self, row: Mapping[str, str]) -> str:
        """Say why a frame is left out; "" where it is not."""
        if row["included_in_public_release"].lower() != "true" or row["split_partition_name"] not in SPLITS:
            return "frames not in the public release"
        return "" if row["scene_name"] in self.scenes else "frames of scenes that are not here"


def _name(row: Mapping[str, str]) -> str:
    return f"{row['scene_name']}_{row['camera_name']}_{int(row['frame_id']):04d}"


def _parts(name: str) -> tuple[str, str, str]:
    match = NAME.fullmatch(name)
    assert match is not None
    return match[1], match[2], match[3]

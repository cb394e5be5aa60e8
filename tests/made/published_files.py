"""Tiny files in the formats in which data sets are published, and a source that needs none."""

import csv
import errno
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from multimae.data.manifest import Provenance
from multimae.data.sample import DataError
from multimae.prepare.conversion import Item

Array = NDArray[Any]
MAPPING = np.arange(894) * 7 % 40 + 1
"""The class among 40 of each of 894, whose numbers start at 1."""
SPLIT_COLUMNS = (
    "scene_name", "camera_name", "frame_id", "included_in_public_release", "exclude_reason", "split_partition_name",
)  # fmt: skip
STANDARD_CAMERA = np.array([[0.57735026, 0, 0], [0, 0.43301271, 0], [0, 0, -1]])


@dataclass(frozen=True, kw_only=True)
class Squares:
    """A source of `count` grey squares, one PNG and one text each; some are damaged, one finds the disk full."""

    count: int = 6
    damaged: tuple[int, ...] = ()
    full_at: int | None = None
    delay_s: float = 0.0
    bytes_estimate: int = 100
    settings: Mapping[str, str | int | float | None] = field(default_factory=lambda: {"grey": 7})

    def provenance(self) -> Provenance:
        return Provenance(dataset="squares", source="nowhere", settings=self.settings, units={"rgb": "grey"})

    def items(self) -> Sequence[Item]:
        return [
            Item(
                name=f"{index:03d}",
                outputs=(f"train/rgb/all/{index:03d}.png", f"train/note/all/{index:03d}.txt"),
                bytes_estimate=self.bytes_estimate,
            )
            for index in range(self.count)
        ]

    def convert(self, item: Item, out: Path) -> None:
        index = int(item.name)
        image, note = (out / output for output in item.outputs)
        Image.new("L", (4, 3), index).save(image)
        time.sleep(self.delay_s)
        if index in self.damaged:
            raise DataError(f"square {index} is round")
        if index == self.full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        note.write_text(item.name)


@dataclass(frozen=True, kw_only=True)
class NyuFrame:
    """One frame of NYU Depth v2: [height, width, 3] uint8, metres, and labels of the 894 classes."""

    rgb: Array
    metres: Array
    labels: Array
    raw_metres: Array | None = None


def nyu_frame(seed: int, *, height: int = 480, width: int = 640) -> NyuFrame:
    """Make a frame up; its raw depth has a hole."""
    generator = np.random.default_rng(seed)
    metres = generator.uniform(0.5, 9.9, (height, width)).astype(np.float32)
    raw = metres.copy()
    raw[:5, :7] = 0
    labels = generator.integers(0, 895, (height, width)).astype(np.uint16)
    return NyuFrame(rgb=_waves(generator, height=height, width=width), metres=metres, labels=labels, raw_metres=raw)


def _waves(generator: np.random.Generator, *, height: int, width: int) -> Array:
    """Draw smooth colours, which no two seeds have alike."""
    down, across = np.mgrid[0:height, 0:width, 0:1][:2] / width
    phase, pace = generator.uniform(0, 6, 3), generator.uniform(2, 9, 3)
    return (127.5 * (1 + np.sin(pace * (down + 2 * across) + phase))).astype(np.uint8)


def write_nyu(root: Path, frames: Sequence[NyuFrame], *, train: Sequence[int], test: Sequence[int]) -> Path:
    """Write nyu_depth_v2_labeled.mat (HDF5 in MATLAB's axis order), splits.mat and classMapping40.mat."""
    root.mkdir(parents=True, exist_ok=True)
    raws = [frame.metres if frame.raw_metres is None else frame.raw_metres for frame in frames]
    arrays = {
        "images": np.stack([frame.rgb.T for frame in frames]),
        "depths": np.stack([frame.metres.T for frame in frames]),
        "rawDepths": np.stack([raw.T for raw in raws]),
        "labels": np.stack([frame.labels.T for frame in frames]),
    }
    # MATLAB keeps 512 bytes for itself in front of the HDF5.
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression=1)
    with (root / "nyu_depth_v2_labeled.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    columns = {"trainNdxs": np.array(train)[:, None], "testNdxs": np.array(test)[:, None]}
    savemat(root / "splits.mat", {name: column.astype(np.uint16) for name, column in columns.items()})
    savemat(root / "classMapping40.mat", {"mapClass": MAPPING[None].astype(np.uint8)})
    return root


@dataclass(frozen=True, kw_only=True)
class HypersimFrame:
    """One frame of Hypersim: HDR [height, width, 3], distance in metres, labels from -1, entity ids from -1."""

    colour: Array
    distance: Array
    semantic: Array
    entities: Array
    preview: Array


def hypersim_frame(seed: int, *, height: int = 24, width: int = 32) -> HypersimFrame:
    """Make a frame up."""
    generator = np.random.default_rng(seed)
    entities = generator.integers(1, 9, (height, width)).astype(np.int32)
    entities[0, :3] = -1
    semantic = generator.integers(1, 41, (height, width)).astype(np.int16)
    semantic[0, :3] = -1
    return HypersimFrame(
        colour=generator.gamma(1.0, 2.0, (height, width, 3)).astype(np.float16),
        distance=generator.uniform(1, 20, (height, width)).astype(np.float32),
        semantic=semantic,
        entities=entities,
        preview=_waves(generator, height=height, width=width),
    )


def write_hypersim(
    root: Path, frames: Mapping[str, HypersimFrame], *, splits: Mapping[str, str], with_colour: bool = True
) -> Path:
    """Write frames named scene/camera/number, and the split table; a scene without a split is not released."""
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, frame in frames.items():
        scene, camera, number = name.split("/")
        _write_hypersim_frame(root / scene / "images", frame, camera=camera, number=int(number), colour=with_colour)
        released = scene in splits
        reason = "" if released else "CONTENT FLAGGED FOR REMOVAL"
        rows.append([scene, camera, int(number), released, reason, splits.get(scene, "")])
    write_csv(root / "metadata_images_split_scene_v1.csv", [SPLIT_COLUMNS, *rows])
    return root


def write_hypersim_cameras(root: Path, cameras: Mapping[str, Array]) -> None:
    """Write metadata_camera_parameters.csv, with the columns that count and one that does not."""
    cells = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
    rows = [[scene, 1024.0, *matrix.ravel().tolist()] for scene, matrix in cameras.items()]
    header = ["scene_name", "settings_output_img_width", *cells]
    write_csv(root / "metadata_camera_parameters.csv", [header, *rows])


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write_hypersim_frame(images: Path, frame: HypersimFrame, *, camera: str, number: int, colour: bool) -> None:
    geometry, final, preview = (
        images / f"scene_{camera}_{kind}" for kind in ("geometry_hdf5", "final_hdf5", "final_preview")
    )
    for folder in (geometry, final, preview):
        folder.mkdir(parents=True, exist_ok=True)
    write_hdf5(geometry / f"frame.{number:04d}.depth_meters.hdf5", frame.distance)
    write_hdf5(geometry / f"frame.{number:04d}.semantic.hdf5", frame.semantic)
    write_hdf5(geometry / f"frame.{number:04d}.render_entity_id.hdf5", frame.entities)
    if colour:
        write_hdf5(final / f"frame.{number:04d}.color.hdf5", frame.colour)
    Image.fromarray(frame.preview).save(preview / f"frame.{number:04d}.tonemap.jpg", quality=90)


def write_hdf5(path: Path, array: Array) -> None:
    """Write one array as Hypersim does."""
    with h5py.File(path, "w") as file:
        file.create_dataset("dataset", data=array, compression="gzip")

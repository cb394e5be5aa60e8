"""Write Hypersim from its release: HDF5 files per frame, the official split, depth along the camera's axis."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multimae.data.decode import shrink
from multimae.data.encode import millimetres, write_image
from multimae.data.images import in_colours, opened
from multimae.data.manifest import Provenance
from multimae.data.sample import DataError, DataNotFoundError
from multimae.options import whole
from multimae.prepare.command import add_options, convert
from multimae.prepare.conversion import Item, place
from multimae.prepare.hdf5 import read
from multimae.prepare.hypersim_camera import planar_share
from multimae.prepare.hypersim_release import CAMERA_TABLE, SPLIT_TABLE, Release
from multimae.prepare.hypersim_tonemap import tone_mapped

Array = NDArray[Any]
Rgb = Literal["hdr", "preview"]

NUM_CLASSES = 40
UNITS = MappingProxyType(
    {
        "rgb": "8-bit colour",
        "depth": "millimetres along the camera's axis, 0 invalid",
        "semseg": "NYU classes 1 to 40, 0 unlabelled",
        "mask_valid": "255 where depth is known, else 0",
    }
)
DECISIONS = (
    "distance to the optical centre converted to depth along the camera's axis",
    "depth that is no number, not positive or beyond 65.535 m is invalid",
    "semantic -1 stored as 0",
)
RGB_DECISIONS = MappingProxyType(
    {
        "hdr": "rgb tone-mapped from the HDR images as the data set's own tool does; what is no number is black",
        "preview": "rgb is the published tonemap.jpg",
    }
)
FULL_HEIGHT, FULL_WIDTH = 768, 1024
# Above what frames take, of which rgb is most where it is no link; it depends on the noise of the rendering.
BYTES_PER_PIXEL = MappingProxyType({"hdr": 3.0, "preview": 1.2})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare hypersim`."""
    parser.description = f"Write Hypersim from its scene folders ai_VVV_NNN and {SPLIT_TABLE}; needs multimae[prepare]."
    add_options(parser, name="hypersim", published=f"folder of ai_VVV_NNN/, {SPLIT_TABLE} and {CAMERA_TABLE}")
    parser.add_argument(
        "--rgb",
        choices=("auto", "hdr", "preview"),
        default="auto",
        help="tone-map the HDR images, or take the published JPEGs (default: HDR where there are any)",
    )
    parser.add_argument(
        "--shorter-side", type=whole(0), default=0, metavar="PIXELS", help="shrink to (default: keep the size)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert what is not there yet; return the exit status."""
    rgb: Rgb = args.rgb
    if args.rgb == "auto":
        # One kind for all frames: the previews went through JPEG, the others did not.
        rgb = "hdr" if Release(root=args.published).has_hdr else "preview"
    source = HypersimFrames(root=args.published, rgb=rgb, shorter_side=args.shorter_side)
    return convert(source, name="hypersim", arguments=args)


@dataclass(frozen=True, kw_only=True)
class HypersimFrames:
    """The frames of Hypersim as published, below `root`; `shorter_side` 0 keeps the size."""

    root: Path
    rgb: Rgb
    shorter_side: int = 0

    def provenance(self) -> Provenance:
        """Say what is made of the files."""
        cameras = CAMERA_TABLE if self._release.cameras else "60 degrees wide, for all scenes"
        return Provenance(
            dataset="hypersim",
            source=str(self.root.absolute()),
            settings={"rgb": self.rgb, "shorter_side": self.shorter_side, "cameras": cameras},
            decisions=(*DECISIONS, RGB_DECISIONS[self.rgb]),
            units=UNITS,
            left_out=self._release.left_out,
        )

    def items(self) -> Sequence[Item]:
        """List the frames of the official split whose scenes are here."""
        frames = self._release.split_of
        if not frames:
            raise DataNotFoundError(
                f"{self.root} holds no scene of {SPLIT_TABLE}; wanted folders such as ai_001_001/images there, as the "
                "data set's download script unpacks them"
            )
        return [self._item(name, split=split) for name, split in frames.items()]

    def convert(self, item: Item, out: Path) -> None:
        """Write the four files of a frame."""
        maps = self._maps(item.name)
        sizes = {name: array.shape[:2] for name, array in maps.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(f"{item.name} has files of different sizes, {sizes}; download its scene again")
        for output in item.outputs:
            modality = output.split("/")[1]
            if self.shorter_side:
                maps[modality] = shrink(maps[modality], modality=modality, store_size=self.shorter_side)
            elif modality == "rgb" and self.rgb == "preview":
                place(self._release.preview(item.name), out / output)
                continue
            write_image(out / output, maps[modality])

    @cached_property
    def _release(self) -> Release:
        return Release(root=self.root)

    def _item(self, name: str, *, split: str) -> Item:
        suffixes = {"rgb": ".jpg" if self.rgb == "preview" else ".png"}
        scale = min(1.0, self.shorter_side / FULL_HEIGHT) if self.shorter_side else 1.0
        return Item(
            name=name,
            outputs=tuple(f"{split}/{modality}/all/{name}{suffixes.get(modality, '.png')}" for modality in UNITS),
            bytes_estimate=int(BYTES_PER_PIXEL[self.rgb] * scale**2 * FULL_HEIGHT * FULL_WIDTH),
        )

    def _maps(self, name: str) -> dict[str, Array]:
        depth = self._depth(name)
        valid = np.where(depth > 0, 255, 0).astype(np.uint8)
        return {"rgb": self._rgb(name), "depth": depth, "semseg": self._semseg(name), "mask_valid": valid}

    def _rgb(self, name: str) -> Array:
        if self.rgb == "preview":
            return _photograph(self._release.preview(name))
        path = self._release.colour(name)
        radiance = read(path, name="dataset").astype(np.float32)
        if np.isnan(radiance).all():
            raise DataError(f"{path} holds no number; download its scene again")
        entities = read(self._release.geometry(name, kind="render_entity_id"), name="dataset")
        if entities.shape != radiance.shape[:2]:
            raise DataError(f"{path} has shape {radiance.shape}, its render_entity_id {entities.shape}")
        return tone_mapped(radiance, rendered=entities != -1)

    def _depth(self, name: str) -> NDArray[np.uint16]:
        distance = read(self._release.geometry(name, kind="depth_meters"), name="dataset").astype(np.float32)
        height, width = distance.shape
        return millimetres(distance * planar_share(self._release.camera(name), height=height, width=width))

    def _semseg(self, name: str) -> NDArray[np.uint8]:
        path = self._release.geometry(name, kind="semantic")
        labels = read(path, name="dataset")
        if labels.min() < -1 or labels.max() > NUM_CLASSES:
            raise DataError(
                f"{path} holds labels from {labels.min()} to {labels.max()}, wanted -1 (unlabelled) to {NUM_CLASSES}"
            )
        return np.asarray(np.maximum(labels, 0), dtype=np.uint8)


def _photograph(path: Path) -> NDArray[np.uint8]:
    """Decode a whole preview; raise DataError where it is missing or torn."""
    if not path.is_file():
        raise DataNotFoundError(f"there is no {path}")
    with opened(path, what="a preview") as image:
        return np.asarray(in_colours(image))

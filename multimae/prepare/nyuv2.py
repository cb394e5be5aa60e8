"""Write NYU Depth v2 from nyu_depth_v2_labeled.mat, splits.mat and classMapping40.mat, as its authors publish them.

The reference's own script names the validity folder `mask`, which nothing reads, and stores 6553.6 units per metre,
which fits no constant of its training: here it is `mask_valid`, and depth is in millimetres as everywhere.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multimae.data.encode import millimetres, write_image
from multimae.data.manifest import Provenance
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.sets.nyuv2 import SPEC
from multimae.prepare.command import add_options, convert
from multimae.prepare.conversion import Item
from multimae.prepare.hdf5 import opened

LABELED, SPLITS, MAPPING = "nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"
SPLIT_VARIABLES = MappingProxyType({"train": "trainNdxs", "test": "testNdxs"})
DEPTHS = MappingProxyType({"filled": "depths", "raw": "rawDepths"})
SUFFIXES = MappingProxyType({"png": ".png", "jpeg": ".jpg"})
UNITS = MappingProxyType(
    {
        "rgb": "8-bit colour",
        "depth": "millimetres, 0 invalid",
        "semseg": "classes 1 to 40, 0 unlabelled",
        "mask_valid": "255 in the toolbox crop (rows 44 to 469, columns 40 to 599, from 0), else 0",
    }
)
DECISIONS = (
    "arrays transposed from MATLAB's axis order",
    "depth rounded to millimetres",
    "the white frame of the photographs kept",
)
# A little above what 160 of the frames take.
BYTES_PER_FRAME = MappingProxyType({"png": 800_000, "jpeg": 500_000})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare nyuv2`."""
    parser.description = f"Write NYU Depth v2 from {LABELED}, {SPLITS} and {MAPPING}; needs multimae[prepare]."
    add_options(parser, name="nyuv2", published=f"folder of {LABELED}, {SPLITS} and {MAPPING}")
    parser.add_argument("--rgb-format", choices=tuple(SUFFIXES), default="png", help="default %(default)s, lossless")
    parser.add_argument(
        "--depth", choices=tuple(DEPTHS), default="filled", help="holes filled in, or as measured (default %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert what is not there yet; return the exit status."""
    source = LabeledNyu(root=args.published, rgb_format=args.rgb_format, depth=args.depth)
    return convert(source, name="nyuv2", arguments=args)


@dataclass(frozen=True, kw_only=True)
class LabeledNyu:
    """The labelled part of NYU Depth v2 as published, below `root`."""

    root: Path
    rgb_format: Literal["png", "jpeg"] = "png"
    depth: Literal["filled", "raw"] = "filled"

    def provenance(self) -> Provenance:
        """Say what is made of the files."""
        unused = self._num_frames - sum(map(len, self._splits.values()))
        return Provenance(
            dataset=SPEC.name,
            source=str(self.root.absolute()),
            settings={"rgb_format": self.rgb_format, "depth": self.depth},
            decisions=(*DECISIONS, f"{len(self._class_of) - 1} classes mapped to {SPEC.num_classes} by {MAPPING}"),
            units=UNITS,
            left_out={f"frames in no split of {SPLITS}": unused} if unused else {},
        )

    def items(self) -> Sequence[Item]:
        """List the frames of both splits by their number in the file, from 1."""
        if missing := [name for name in (LABELED, SPLITS, MAPPING) if not (self.root / name).is_file()]:
            raise DataNotFoundError(f"{self.root} lacks {', '.join(missing)}.\n{SPEC.how_to_get}")
        self._check()
        return [self._item(split, number) for split, numbers in self._splits.items() for number in numbers]

    def convert(self, item: Item, out: Path) -> None:
        """Write the four files of a frame."""
        index = int(item.name) - 1
        with opened(self.root / LABELED) as file:
            # MATLAB stores columns first: [channels, width, height] -> [height, width, channels]
            rgb, metres, labels = (
                np.ascontiguousarray(file[name][index].T) for name in ("images", DEPTHS[self.depth], "labels")
            )
        maps = {"rgb": rgb, "depth": millimetres(metres), "semseg": self._to_40(labels), "mask_valid": _crop(labels)}
        for output in item.outputs:
            write_image(out / output, maps[output.split("/")[1]])

    @cached_property
    def _splits(self) -> Mapping[str, tuple[int, ...]]:
        splits = {split: _numbers(self.root / SPLITS, name=name) for split, name in SPLIT_VARIABLES.items()}
        train, test = (set(numbers) for numbers in splits.values())
        if train & test:
            raise DataError(f"{self.root / SPLITS}: {len(train & test)} frames are in both splits; download it again")
        if outside := sorted(number for number in train | test if not 1 <= number <= self._num_frames):
            raise DataError(
                f"{self.root / SPLITS} names {len(outside)} frames such as {outside[0]}, {LABELED} has 1 to "
                f"{self._num_frames}; the files belong to different releases or {LABELED} is damaged"
            )
        return splits

    @cached_property
    def _class_of(self) -> NDArray[np.uint8]:
        """Return the class among 40 of each of the 894, whose number is the index; 0 stays unlabelled."""
        classes = _numbers(self.root / MAPPING, name="mapClass")
        if not all(0 <= number <= SPEC.num_classes for number in classes):
            raise DataError(f"{self.root / MAPPING}: mapClass has values beyond {SPEC.num_classes}; download it again")
        return np.array([0, *classes], dtype=np.uint8)

    @cached_property
    def _num_frames(self) -> int:
        with opened(self.root / LABELED) as file:
            return int(file["images"].shape[0])

    def _check(self) -> None:
        """Raise unless the arrays fit each other, in MATLAB's axis order."""
        with opened(self.root / LABELED) as file:
            shapes = {name: file[name].shape for name in ("images", DEPTHS[self.depth], "labels")}
        frames, _, width, height = (*shapes["images"], 0, 0, 0)[:4]
        if list(shapes.values()) != [(frames, 3, width, height), *[(frames, width, height)] * 2]:
            raise DataError(
                f"{self.root / LABELED} has arrays {shapes}, wanted [frames, 3, width, height] for images and [frames, "
                "width, height] for the others; download it again"
            )

    def _item(self, split: str, number: int) -> Item:
        name = f"{number:04d}"
        suffixes = {modality: SUFFIXES[self.rgb_format] if modality == "rgb" else ".png" for modality in UNITS}
        return Item(
            name=name,
            outputs=tuple(f"{split}/{modality}/all/{name}{suffix}" for modality, suffix in suffixes.items()),
            bytes_estimate=BYTES_PER_FRAME[self.rgb_format],
        )

    def _to_40(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        if labels.max() >= len(self._class_of):
            raise DataError(
                f"{self.root / LABELED}: label {labels.max()}, wanted at most {len(self._class_of) - 1}, the classes "
                f"that {MAPPING} maps"
            )
        return np.asarray(self._class_of[labels])


def _numbers(path: Path, *, name: str) -> tuple[int, ...]:
    """Read the whole numbers of a variable of a MATLAB file."""
    from scipy.io import loadmat

    try:
        return tuple(int(number) for number in loadmat(path)[name].ravel())
    except KeyError as error:
        raise DataError(f"{path} has no variable {name}; download it again") from error
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as a MATLAB file: {error}; download it again") from error


def _crop(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the validity of the toolbox crop, where the projected depth is complete."""
    assert SPEC.eval_crop is not None
    top, bottom, left, right = SPEC.eval_crop
    valid = np.zeros(labels.shape, dtype=np.uint8)
    valid[top:bottom, left:right] = 255
    return valid

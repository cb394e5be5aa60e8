"""Small pictures of one modality side by side in one file, for a page to cut out again.

Images and normals are stored as they look. Depth is stored as grey, its share of a range, so that a page can colour and
subtract it. Labels are stored in the colours of their classes, without loss.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.data.labels import LabelCode, label_code
from multimae.data.spec import DatasetSpec
from multimae.layers import Grid
from multimae.pictures.colours import UNLABELLED, Picture, displayed, share_of_range
from multimae.shapes import Float, Int
from multimae.tables.modalities import modality

SHEET_COLUMNS = 16
MAX_CELL_SIZE = 128
JPEG_QUALITY = 85
HeightWidth = tuple[int, int]


def cell_size(name: str, *, grid: Grid, patch_size: int) -> HeightWidth:
    """Return the size of one picture: whole patches, of a power of two pixels a side where they have to shrink."""
    own = patch_size // modality(name).stride_level
    fitting = 2 ** max(0, (MAX_CELL_SIZE // max(grid)).bit_length() - 1)
    pixels = min(own, fitting)
    return grid.height * pixels, grid.width * pixels


def shrink_to_cell(
    name: str, maps: Float[Tensor, "batch _ _ _"] | Int[Tensor, "batch _ _"], *, size: HeightWidth
) -> Float[Tensor, "batch _ height width"] | Int[Tensor, "batch height width"]:
    """Return what is to be seen of a map: colours in 0..1, depth in its own unit, classes as numbers."""
    kind = modality(name).kind
    if kind == "labels":  # classes cannot be averaged
        return F.interpolate(maps[:, None].float(), size=size, mode="nearest-exact")[:, 0].long().cpu()
    return F.interpolate(maps if kind == "depth" else displayed(name, maps), size=size, mode="area").cpu()


def write_sheet(
    path: Path, cells: Sequence[Tensor | None], *, name: str, near_far: tuple[float, float], facts: DatasetSpec
) -> Path:
    """Write cells of a modality beside `path`, with the fitting suffix; a cell that is None stays black.

    `near_far` is the range of depth, of no meaning to others.
    """
    kind = modality(name).kind
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "labels":
        code = label_code(name, spec=facts)
        image = Image.fromarray(_side_by_side([_classes(cell, code=code) for cell in cells]))
        image.putpalette([value for colour in (*code.palette, UNLABELLED) for value in colour])
        image.save(path := path.with_name(f"{path.name}.png"), optimize=True)
        return path
    if kind == "depth":
        cells = [None if cell is None else share_of_range(cell, near_far=near_far) for cell in cells]
    image = Image.fromarray(_side_by_side([_bytes(cell) for cell in cells]))
    # No subsampling: it would mix the colours of neighbouring cells.
    image.save(path := path.with_name(f"{path.name}.jpg"), quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return path


def _classes(labels: Tensor | None, *, code: LabelCode) -> Picture | None:
    if labels is None:
        return None
    known = (labels >= 0) & (labels < code.num_classes)
    picture: Picture = torch.where(known, labels, code.num_classes).byte().numpy()
    return picture


def _bytes(shares: Tensor | None) -> Picture | None:
    if shares is None:
        return None
    picture: Picture = (shares.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    return picture


def _side_by_side(cells: Sequence[Picture | None]) -> Picture:
    first = next(cell for cell in cells if cell is not None)
    height, width = first.shape[:2]
    sheet = np.zeros((ceil(len(cells) / SHEET_COLUMNS) * height, SHEET_COLUMNS * width, *first.shape[2:]), np.uint8)
    for number, cell in enumerate(cells):
        if cell is not None:
            row, column = divmod(number, SHEET_COLUMNS)
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = cell
    return sheet

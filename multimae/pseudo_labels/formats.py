"""From a prediction at native resolution to the codes of the files, and the files themselves.

Depth is 16 bits with 0 = invalid, classes are 8 bits, normals 8 bits a component: round((n + 1) * 127.5).
"""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.record.files import write_atomically
from multimae.shapes import Float

Array = NDArray[Any]
HeightWidth = tuple[int, int]

MAX_CODE = 65535
NUM_CODES_8_BIT = 256
_CLASSES_AT_A_TIME = 16
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"


def resize(maps: Float[Tensor, "channels height width"], *, to: HeightWidth) -> Tensor:
    """Resize bilinearly, averaging over what a smaller pixel covers."""
    return F.interpolate(maps[None], size=to, mode="bilinear", antialias=True)[0]


def encode_millimetres(depth: Float[Tensor, "height width"]) -> Array:
    """Return depth in whole millimetres, 1 to 65535; what is no number becomes 0."""
    return _uint16(depth.round().clamp(1, MAX_CODE), known=depth.isfinite())


def encode_relative(depth: Float[Tensor, "height width"], *, larger_is: Literal["farther", "nearer"]) -> Array:
    """Spread one image's values evenly over 1 (nearest) to 65535 (farthest); a constant map becomes 1."""
    known = depth.isfinite()
    if not known.any():
        return np.zeros(tuple(depth.shape), dtype=np.uint16)
    # In float64: float32 has 24 bits, and the quotient must be right in 16 of them.
    signed = depth.double() if larger_is == "farther" else -depth.double()
    low, high = signed[known].min(), signed[known].max()
    share = (signed - low) / (high - low).clamp(min=torch.finfo(torch.float64).tiny)
    return _uint16((1 + share * (MAX_CODE - 1)).round(), known=known)


def encode_classes(scores: Float[Tensor, "classes height width"], *, to: HeightWidth, first_code: int) -> Array:
    """Resize the scores, then take the best class; class c becomes `first_code` + c.

    A few classes at a time: the scores of 133 classes at the size of a photograph would fill gigabytes.
    """
    best = torch.full(to, -torch.inf, device=scores.device)
    ids = torch.zeros(to, dtype=torch.uint8, device=scores.device)
    for start in range(0, len(scores), _CLASSES_AT_A_TIME):
        values, indices = resize(scores[start : start + _CLASSES_AT_A_TIME], to=to).max(dim=0)
        better = values > best
        best = torch.where(better, values, best)
        ids = torch.where(better, (indices + start + first_code).to(torch.uint8), ids)
    return np.asarray(ids.cpu())


def encode_normals(normals: Float[Tensor, "3 height width"]) -> Array:
    """Return unit vectors in 8 bits a component, [height, width, 3]; what has no direction becomes (0, 0, 0)."""
    length = normals.norm(dim=0)
    known = length.isfinite() & (length > 0)
    codes = ((normals / length + 1) * 127.5).round().masked_fill(~known, 0)
    # [3, height, width] -> [height, width, 3]
    return np.asarray(codes.permute(1, 2, 0).to(torch.uint8).cpu())


def write_map(path: Path, codes: Array) -> None:
    """Write a PNG under a temporary name and rename it.

    It is not forced to disk, which would cost more than the labelling: `is_whole` finds what a power cut tears.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: Image.fromarray(codes).save(file, format="PNG"), survives="kill")


def is_whole(path: Path) -> bool:
    """Say whether a PNG is there from its first to its last bytes, without decoding it."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_PNG_START))
            file.seek(-len(_PNG_END), os.SEEK_END)
            return start == _PNG_START and file.read() == _PNG_END
    except OSError:  # missing, or shorter than its end
        return False


def _uint16(codes: Tensor, *, known: Tensor) -> Array:
    # torch's own uint16 knows few operations.
    return np.asarray(codes.masked_fill(~known, 0).int().cpu()).astype(np.uint16)

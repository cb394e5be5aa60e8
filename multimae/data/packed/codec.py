"""One map as the bytes of a packed file and back, made to be decoded fast; nothing changes a pixel but `jpeg`.

A photograph stays the JPEG it was; every other map is NumPy's own format, compressed with Zstandard, which any reader
of Python can open. A 16-bit PNG takes five times as long to decode (DECISIONS.md). Free of torch at import.
"""

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from PIL import Image

from multimae.data.decode import Array

Codec = Literal["jpeg", "uint8", "uint16"]
CODECS: tuple[Codec, ...] = ("jpeg", "uint8", "uint16")
SUFFIXES: Mapping[Codec, str] = MappingProxyType({"jpeg": "jpg", "uint8": "npy.zst", "uint16": "npy.zst"})
# Higher ones take longer to write and gain nothing; decoding is as fast at any.
ZSTD_LEVEL = 7
# What numpy.save writes ahead of the pixels of a map with two or three axes.
NPY_HEADER_BYTES = 128


def compress(array: Array) -> tuple[bytes, Codec]:
    """Return a map, uint8 or uint16, as a compressed .npy."""
    import pyarrow

    npy = io.BytesIO()
    np.save(npy, np.ascontiguousarray(array), allow_pickle=False)
    content = npy.getvalue()
    assert len(content) == NPY_HEADER_BYTES + array.nbytes
    codec: Codec = "uint8" if array.dtype == np.uint8 else "uint16"
    assert array.dtype == codec
    return bytes(pyarrow.Codec("zstd", ZSTD_LEVEL).compress(content, asbytes=True)), codec


def jpeg(array: Array, *, quality: int) -> bytes:
    """Return a photograph as a JPEG."""
    content = io.BytesIO()
    Image.fromarray(array).save(content, "JPEG", quality=quality)
    return content.getvalue()


def restore(content: bytes, *, codec: Codec, shape: tuple[int, ...]) -> Array:
    """Return the map of this shape that the bytes hold; the array is the caller's to write to."""
    if codec == "jpeg":
        return _restore_jpeg(content, shape=shape)
    import pyarrow

    dtype = np.dtype(codec)
    num_bytes = NPY_HEADER_BYTES + int(np.prod(shape)) * dtype.itemsize
    buffer = pyarrow.Codec("zstd").decompress(content, decompressed_size=num_bytes)
    # Where and of what kind the pixels are is in the index; parsing the header would take as long as decompressing.
    return np.frombuffer(buffer, dtype=dtype, offset=NPY_HEADER_BYTES).reshape(shape)


def _restore_jpeg(content: bytes, *, shape: tuple[int, ...]) -> Array:
    import cv2

    # Two thirds of Pillow's time for the same pixels. OpenCV hands back half an image where bytes are missing; here
    # the bytes are those that were packed, or a checksum has said so.
    colours = cv2.IMREAD_COLOR_RGB if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), colours | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape != shape:
        raise ValueError(f"no JPEG of shape {shape}")
    pixels: Array = image
    return pixels

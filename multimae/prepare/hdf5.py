"""Read HDF5 files; h5py comes with the extra `multimae[prepare]`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multimae.data.sample import DataError, DataNotFoundError

if TYPE_CHECKING:
    import h5py

# One block of frames of a file that is compressed across frames, so that it is unpacked once and not for every frame.
CACHE_BYTES, CACHE_SLOTS = 1 << 26, 100_003


@contextmanager
def opened(path: Path) -> Iterator["h5py.File"]:
    """Open a file to read; raise DataError, naming the file, for whatever is wrong with it, now or while reading."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise DataError(f"{path} is HDF5, and h5py is not installed; run: pip install 'multimae[prepare]'") from error
    if not path.is_file():
        raise DataNotFoundError(f"there is no {path}")
    try:
        with h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES, rdcc_nslots=CACHE_SLOTS) as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(f"{path} cannot be read as HDF5: {_words(error)}; download it again") from error


def read(path: Path, *, name: str) -> NDArray[Any]:
    """Return a whole array of a file."""
    with opened(path) as file:
        return np.asarray(file[name])


def _words(error: Exception) -> str:
    # The words of a KeyError are quoted otherwise.
    return str(error.args[0] if error.args else error)

"""Which data a sweep runs on: the user's, or the embedded rooms when none is named."""

import os
from pathlib import Path

from experiments.errors import PreconditionError
from experiments.plan import Data
from multimae.data import rooms
from multimae.data.layout import find_root, fingerprint, list_samples
from multimae.data.sample import DataError
from multimae.data.spec import spec

SPLITS = ("train", "test")


def cache_dir() -> Path:
    """Return the one folder outside the runs folder that is written to: MULTIMAE_CACHE, else the user's cache."""
    base = os.environ.get("MULTIMAE_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "multimae"


def find_data(dataset: str, *, data_root: Path | None) -> Data:
    """Return the data of `dataset` under `data_root`; with no data root, the embedded rooms."""
    name = dataset if data_root else "rooms"
    described = spec(name)
    try:
        root = find_root(data_root, described) if data_root else rooms.unpack(cache_dir())
        counts = {split: len(list_samples(root, split, described.modalities)) for split in SPLITS}
    except DataError as error:
        raise PreconditionError(str(error)) from error
    return Data(
        name=name,
        root=root.resolve(),
        fingerprint=fingerprint(root, SPLITS, described.modalities),
        num_train=counts["train"],
        num_test=counts["test"],
    )

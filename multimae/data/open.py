"""Find a data set's root and how its files are arranged, once; what it holds is then asked of the result.

Free of torch.
"""

from pathlib import Path

from multimae.data.arrangements import SPLITS, arrangement, is_arranged
from multimae.data.dataset import OpenedDataset
from multimae.data.layout import PlainDataset
from multimae.data.packed.dataset import PackedDataset, is_packed
from multimae.data.sample import DataNotFoundError
from multimae.data.spec import DatasetSpec


def open_dataset(root: Path, spec: DatasetSpec) -> OpenedDataset:
    """Open the data set whose splits are below `root`: plain files in any arrangement, or packed."""
    if is_packed(root):
        return PackedDataset(root=root, spec=spec)
    return PlainDataset(root=root, spec=spec, arrangement=arrangement(root))


def find_dataset(data_root: Path, spec: DatasetSpec) -> OpenedDataset:
    """Find and open the data set that a user names with --data-root."""
    return open_dataset(find_root(data_root, spec), spec)


def find_root(data_root: Path, spec: DatasetSpec) -> Path:
    """Return the folder that holds the splits: one of the data set's names in `data_root`, or `data_root` itself."""
    candidates = (*(data_root / name for name in spec.folder_names), data_root)
    for candidate in candidates:
        if is_arranged(candidate):
            return candidate
    looked = "\n".join(f"  {candidate}/{{{','.join(SPLITS)}}}" for candidate in candidates)
    exists = "" if data_root.is_dir() else f" ({data_root} does not exist)"
    raise DataNotFoundError(f"no {spec.title} data at {data_root}{exists}; looked for\n{looked}\n{spec.how_to_get}")

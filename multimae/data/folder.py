"""A data set in the folder layout of `layout.py`, for torch's data loaders."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from multimae.data.decode import Array, decode, shrink
from multimae.data.layout import find_root, list_samples, name_order, split_names, with_validity
from multimae.data.maps import Sample
from multimae.data.pipelines import Example
from multimae.data.sample import DataError, SampleFiles
from multimae.data.spec import spec
from multimae.registry import DATASETS, TRANSFORMS

Split = Literal["train", "val", "test"]


@DATASETS.register_module()
class MultiModalFolder(Dataset[Example]):
    """Read samples whose modalities are paired by name, and pass each through `pipeline`.

    `dataset` names the data set's facts (`multimae.data.spec`). `val` is the share `val_ratio` held out of `train`.
    `mask_valid` is read along with depth where it exists. `store_size` shrinks the shorter side at load: with
    `cache="memory"`, which keeps decoded maps after their first use, an epoch costs neither decoding nor large resizes.
    Each worker process has a cache of its own, which lives as long as it does: use `persistent_workers`.
    Evaluation at original resolution needs `store_size=None`. `limit` keeps that many samples, spread over the names.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        dataset: str,
        split: Split,
        modalities: Sequence[str],
        pipeline: dict[str, Any] | Callable[[Sample], Example],
        val_ratio: float = 0.0,
        cache: Literal["none", "memory"] = "none",
        store_size: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.spec = spec(dataset)
        self.root = find_root(Path(root), self.spec)
        self.files = _select(self.root, split=split, modalities=modalities, val_ratio=val_ratio, limit=limit)
        self.pipeline = TRANSFORMS.build(pipeline) if isinstance(pipeline, dict) else pipeline
        self.store_size = store_size
        self._cached: dict[int, Sample] | None = {"none": None, "memory": dict[int, Sample]()}[cache]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        example: Example = self.pipeline(self.read(index))
        return example

    def read(self, index: int) -> Sample:
        """Return the sample as stored, before the pipeline."""
        if self._cached is None:
            return self._decode(self.files[index])
        if index not in self._cached:
            self._cached[index] = self._decode(self.files[index])
        return self._cached[index]

    def _decode(self, files: SampleFiles) -> Sample:
        arrays = {name: decode(path, modality=name, spec=self.spec) for name, path in files.paths.items()}
        _check_same_size(files, arrays)
        if self.store_size is not None:
            arrays = {name: shrink(array, modality=name, store_size=self.store_size) for name, array in arrays.items()}
        maps = {name: _to_tensor(array) for name, array in arrays.items()}
        return Sample(name=files.name, spec=self.spec, maps=maps)


def _select(
    root: Path, *, split: Split, modalities: Sequence[str], val_ratio: float, limit: int | None
) -> tuple[SampleFiles, ...]:
    folder = "test" if split == "test" else "train"
    files = list_samples(root, folder, with_validity(root, folder, modalities))
    if split != "test":
        kept = frozenset(split_names((file.name for file in files), val_ratio=val_ratio, part=split))
        files = tuple(file for file in files if file.name in kept)
    if not files:
        raise ValueError(f"{split} of {root} is empty with val_ratio={val_ratio}; raise it, or lower it for train")
    if limit is None:
        return files
    if limit < 1:
        raise ValueError(f"limit is {limit}, wanted None or at least 1")
    spread = sorted(files, key=lambda file: name_order(file.name))[:limit]
    return tuple(sorted(spread, key=lambda file: file.name))


def _check_same_size(files: SampleFiles, arrays: dict[str, Array]) -> None:
    sizes = {name: array.shape[:2] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{files.paths[name]} is {width}x{height}" for name, (height, width) in sizes.items())
        raise DataError(f"sample {files.name!r}: modalities differ in size: {listed}")


def _to_tensor(array: Array) -> Tensor:
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes, order="K"))

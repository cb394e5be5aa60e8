"""A data set on the disk, plain files or packed, for torch's data loaders."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from multimae.data.dataset import Missing
from multimae.data.decode import Array, blank, check_same_size, read_map, shrink, spec_in
from multimae.data.labels import FIXED, label_code
from multimae.data.maps import Sample
from multimae.data.open import find_dataset
from multimae.data.parts import few_of, split_names, spread_over
from multimae.data.pipelines.pipeline import Example
from multimae.data.sample import DataError, SampleMaps, Samples
from multimae.data.spec import DatasetSpec, spec
from multimae.registry import DATASETS, TRANSFORMS

Split = Literal["train", "val", "test"]


@DATASETS.register_module()
class MultiModalFolder(Dataset[Example]):
    """Read samples whose modalities are paired by name, and pass each through `pipeline`.

    `dataset` names the data set's facts (`multimae.data.spec`), or holds them. `root` may hold what `multimae data
    pack` has written. `val` is the data set's own, where it has one beside `test`, else the share `val_ratio` held out
    of `train`.
    `mask_valid` is read along with depth where it exists. `store_size` shrinks the shorter side at load: with
    `cache="memory"`, which keeps decoded maps after their first use, an epoch costs neither decoding nor large resizes.
    Each worker process has a cache of its own, which lives as long as it does: use `persistent_workers`.
    Evaluation at original resolution needs `store_size=None`. `limit` keeps that many samples, spread over the names.

    `folders` names the folder of a modality where it is not the modality's name. `missing="allow"` keeps samples that
    lack modalities: the maps are blank and `Sample.available` says so. `labelled` gives each sample the number of its
    class (`OpenedDataset.class_names`). `train_ratio` trains on a share of `train`, of each class alike if labelled;
    `subset_seed` says on which.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        dataset: str | Mapping[str, Any],
        split: Split,
        modalities: Sequence[str],
        pipeline: dict[str, Any] | Callable[[Sample], Example],
        val_ratio: float = 0.0,
        cache: Literal["none", "memory"] = "none",
        store_size: int | None = None,
        limit: int | None = None,
        folders: Mapping[str, str] | None = None,
        missing: Missing = "error",
        labelled: bool = False,
        train_ratio: float = 1.0,
        subset_seed: int = 0,
    ) -> None:
        self.spec = spec(dataset)
        opened = find_dataset(Path(root), self.spec)
        self.root = opened.root
        self.modalities = tuple(modalities)
        self.missing = missing
        own = split == "val" and opened.own_val
        folder = split if own or split == "test" else "train"
        found = opened.samples(folder, opened.with_validity(folder, modalities), folders=folders, missing=missing)
        # After the listing, which knows the classes already.
        self.class_names = opened.class_names() if labelled else ()
        for name in ("semseg", *FIXED):
            _check_classes(found.folders.get(name), modality=name, described=self.spec)
        self._labels = opened.labels(folder, found.names) if labelled else {}
        names = found.names if own else _select(found.names, split=split, val_ratio=val_ratio, where=self.root)
        if split == "train":
            names = few_of(names, ratio=train_ratio, seed=subset_seed, groups=self._labels)
        self.files: Samples[SampleMaps] = found.only(spread_over(names, limit=limit))
        self.pipeline = TRANSFORMS.build(pipeline) if isinstance(pipeline, dict) else pipeline
        self._described = {
            name: spec_in((folders or {}).get(name, name), described=self.spec) for name in found.folders
        }
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

    def stored(self, index: int, *, modality: str) -> Array:
        """Return one map [height, width] or [height, width, channels] at the size it is stored in."""
        return read_map(self.files[index].paths[modality], modality=modality, spec=self._described[modality])

    def _decode(self, files: SampleMaps) -> Sample:
        arrays = {
            name: read_map(place, modality=name, spec=self._described[name]) for name, place in files.paths.items()
        }
        check_same_size(files, arrays)
        if self.store_size is not None:
            arrays = {name: shrink(array, modality=name, store_size=self.store_size) for name, array in arrays.items()}
        available = None
        if self.missing == "allow":
            available = {name: name in arrays for name in self.modalities}
            height, width = next(iter(arrays.values())).shape[:2]
            arrays |= {
                name: blank(modality=name, height=height, width=width)
                for name in self.files.folders
                if name not in arrays
            }
        maps = {name: _to_tensor(array) for name, array in arrays.items()}
        return Sample(
            name=files.name, spec=self.spec, maps=maps, available=available, label=self._number_of_class(files.name)
        )

    def numbers_of_classes(self) -> list[int]:
        """Return the number of every sample's class."""
        return [number for name in self.files.names if (number := self._number_of_class(name)) is not None]

    def _number_of_class(self, name: str) -> int | None:
        if not self._labels:
            return None
        label = self._labels[name]
        if label not in self.class_names:
            raise DataError(f"sample {name!r} of {self.root} is of class {label!r}, which no training sample is of")
        return self.class_names.index(label)


def _check_classes(folder: Path | None, *, modality: str, described: DatasetSpec) -> None:
    """Raise if labels made by a network say of themselves that they are of other classes than the modality's."""
    # Beside the class folders, or above the only one.
    manifests = (place / "manifest.json" for place in (folder, folder.parent)) if folder else ()
    manifest = next((file for file in manifests if file.is_file()), None)
    if manifest is None:
        return
    found = json.loads(manifest.read_text("utf-8")).get("classes", {})
    code = label_code(modality, spec=described)
    wanted = code.names()
    if found != wanted:
        owner = modality if modality in FIXED else described.name
        raise DataError(
            f"{manifest.parent} holds labels of {len(found)} classes, first {next(iter(found.items()), None)}; wanted "
            f"the {len(wanted)} of {owner}, first {next(iter(wanted.items()))}: label with a network trained on these, "
            "or describe the data set by those classes, in a file like multimae/data/sets/imagenet.py"
        )


def _select(names: Sequence[str], *, split: Split, val_ratio: float, where: Path) -> tuple[str, ...]:
    selected = tuple(names) if split == "test" else split_names(names, val_ratio=val_ratio, part=split)
    if not selected:
        raise ValueError(f"{split} of {where} is empty with val_ratio={val_ratio}; raise it, or lower it for train")
    return selected


def _to_tensor(array: Array) -> Tensor:
    # Pillow's pixels are read-only, those of shards are not shared with anything.
    pixels = torch.from_numpy(array if array.flags.writeable else array.copy(order="K"))
    return pixels[None] if array.ndim == 2 else pixels.permute(2, 0, 1)

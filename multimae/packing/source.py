"""Write a data set as shards that are read fast: the same samples, pixel for pixel where nothing is shrunk.

Shards are converted like the files of a preparation (`prepare/conversion.py`): in parallel, whole or not at all, going
on where a killed command has stopped, with every file's hash in the manifest. Labels stay in the codes of their files.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from multimae.data.arrangements import FOLDERS, modality_of
from multimae.data.decode import Array, check_same_size, decode, kind_of, shrink
from multimae.data.files import REASONS
from multimae.data.label_table import LABEL_TABLE, write_rows
from multimae.data.layout import PlainDataset
from multimae.data.manifest import Provenance
from multimae.data.open import open_dataset
from multimae.data.packed.codec import compress, jpeg, restore
from multimae.data.packed.dataset import MARK, SCHEMA
from multimae.data.packed.shards import EncodedMap, index_path, write_shard
from multimae.data.parts import name_order
from multimae.data.sample import DataError, DataNotFoundError, PlainSamples, SampleFiles
from multimae.data.spec import DatasetSpec, spec
from multimae.prepare.conversion import Item, place

SAMPLES_PER_SHARD = 250
# A reader keeps all shards of a split open.
MOST_SHARDS = 128
NUM_WEIGHED = 8
CLASSES = "manifest.json"
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})

ANY_CODES = DatasetSpec(
    name="any",
    title="any codes",
    classes=tuple(map(str, range(1, 256))),
    palette=((0, 0, 0),) * 255,
    modalities=("semseg",),
    licence="",
    how_to_get="",
)
"""Decodes labels and depth as the numbers that are stored; what they mean is asked when they are read."""


@dataclass(frozen=True, kw_only=True)
class PackSource:
    """The plain files of a data set below `root`, to be packed.

    `store_size` shrinks the shorter side, None keeps all pixels; photographs are then stored again, as JPEGs of
    `jpeg_quality`. `splits` and `modalities` are all there are, by default.
    """

    root: Path
    dataset: str
    splits: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    store_size: int | None = None
    jpeg_quality: int = 90
    samples_per_shard: int = SAMPLES_PER_SHARD

    def provenance(self) -> Provenance:
        """Say what is packed, and how."""
        kept = "as they are" if self.store_size is None else f"again, JPEG quality {self.jpeg_quality}, where shrunk"
        return Provenance(
            dataset=self.dataset,
            source=str(self.root.absolute()),
            settings={
                "store_size": self.store_size,
                "jpeg_quality": None if self.store_size is None else self.jpeg_quality,
                "samples_per_shard": self.samples_per_shard,
                "splits": ",".join(self._listed),
                "modalities": ",".join(self._modalities),
                "files": self._fingerprint,
            },
            decisions=(f"photographs stored {kept}", "all other maps stored without loss, in the codes of their files"),
            left_out=self._left_out(),
        )

    def items(self) -> Sequence[Item]:
        """List the shards, and what lies beside them."""
        beside = [MARK, *(output for split in self._listed for output in self._beside(split))]
        return [
            *(Item(name=output, outputs=(output,), bytes_estimate=0) for output in beside),
            *(item for split in self._listed for item in self._shards(split)),
        ]

    def convert(self, item: Item, out: Path) -> None:
        """Write a shard or a file beside them; raise DataError naming every sample that cannot be read."""
        target, (split, *rest) = out / item.outputs[0], item.outputs[0].split("/")
        if item.name == MARK:
            target.write_text(json.dumps({"schema": SCHEMA, "dataset": self.dataset}) + "\n", "utf-8")
        elif rest == [LABEL_TABLE]:
            write_rows(target, self._labels[split])
        elif rest[-1] == CLASSES:
            place(self._class_files(split)[rest[0]], target)
        else:
            self._write_shard(target, self._listed[split][self._slice(split, int(target.stem))])

    @cached_property
    def _opened(self) -> PlainDataset:
        opened = open_dataset(self.root, spec(self.dataset))
        if not isinstance(opened, PlainDataset):
            raise DataError(f"{self.root} is packed already; name the folder of its plain files as --data-root")
        return opened

    @cached_property
    def _listed(self) -> Mapping[str, PlainSamples]:
        known = self._opened.splits
        if unknown := sorted(set(self.splits) - set(known)):
            raise DataNotFoundError(f"{self.root} has no split {', '.join(unknown)}; it has {', '.join(known)}")
        return {split: self._list(split) for split in self.splits or known}

    @property
    def _modalities(self) -> Iterable[str]:
        return dict.fromkeys(name for samples in self._listed.values() for name in samples.folders)

    @cached_property
    def _fingerprint(self) -> str:
        """Say which files these are; half the sha256 is enough to be read in a message."""
        found = (self._opened.fingerprint([split], list(samples.folders)) for split, samples in self._listed.items())
        return "+".join(value[:16] for value in found)

    @cached_property
    def _labels(self) -> Mapping[str, Mapping[str, str]]:
        """Return the class of every sample, of those splits whose names do not say it."""
        return {split: found for split in self._listed if (found := self._labels_beside(split))}

    def _labels_beside(self, split: str) -> Mapping[str, str]:
        names = self._listed[split].names
        if not (self._opened.split_dir(split) / LABEL_TABLE).is_file() and not all("/" in name for name in names):
            return {}  # samples without classes
        found = self._opened.labels(split, names)
        return {} if all(label == name.rpartition("/")[0] for name, label in found.items()) else found

    def _list(self, split: str) -> PlainSamples:
        there = self.modalities or tuple(name for name in FOLDERS if self._opened.has(split, name))
        if not there:
            raise DataNotFoundError(f"{split} of {self.root} holds none of {', '.join(FOLDERS)}")
        samples = self._opened.samples(split, there, missing="allow")
        if split == "train":
            # Raises where training on the plain files would: shards do not tell of folders without images.
            self._opened.class_names()
        return samples

    def _left_out(self) -> Mapping[str, int]:
        """Count what lies beside the samples and is none, by reason."""
        counts = Counter[str]()
        for split, samples in self._listed.items():
            for entry in (entry for name in samples.folders for entry in self._opened.listing(split, name).left_out):
                counts[REASONS[entry.reason].said] += len(entry.names)
        return counts

    def _beside(self, split: str) -> Iterator[str]:
        if split in self._labels:
            yield f"{split}/{LABEL_TABLE}"
        yield from (f"{split}/{folder}/{CLASSES}" for folder in self._class_files(split))

    def _class_files(self, split: str) -> Mapping[str, Path]:
        """Return, by modality, the files in which labels say of which classes they are."""
        places = {name: (home / CLASSES, home.parent / CLASSES) for name, home in self._listed[split].folders.items()}
        found = {name: next((file for file in files if file.is_file()), None) for name, files in places.items()}
        return {name: file for name, file in found.items() if file is not None}

    def _shards(self, split: str) -> Iterator[Item]:
        samples, size = self._listed[split], self._shard_size(split)
        weight = self._bytes_per_sample(samples)
        for number in range(math.ceil(len(samples) / size)):
            tar = f"{split}/{number:06d}.tar"
            count = len(range(len(samples))[self._slice(split, number)])
            outputs = (tar, str(index_path(Path(tar))))
            yield Item(name=tar, outputs=outputs, bytes_estimate=int(count * weight))

    def _shard_size(self, split: str) -> int:
        return max(self.samples_per_shard, math.ceil(len(self._listed[split]) / MOST_SHARDS))

    def _slice(self, split: str, number: int) -> slice:
        size = self._shard_size(split)
        return slice(number * size, (number + 1) * size)

    def _bytes_per_sample(self, samples: PlainSamples) -> float:
        """Estimate from a few samples, spread over the names; a damaged one is reported when its shard is written."""
        weights = []
        for files in samples.only(sorted(samples.names, key=name_order)[:NUM_WEIGHED]):
            try:
                weights.append(sum(len(map_.content) for map_ in self._encoded(files).values()))
            except DataError:
                continue
        return float(np.mean(weights)) if weights else 0.0

    def _write_shard(self, tar: Path, samples: PlainSamples) -> None:
        damaged: list[str] = []
        write_shard(tar, samples=self._readable(samples, damaged), modalities=tuple(samples.folders))
        if damaged:
            raise DataError(f"{len(damaged)} of {len(samples)} samples cannot be packed: {'; '.join(damaged)}")

    def _readable(
        self, samples: Iterable[SampleFiles], damaged: list[str]
    ) -> Iterator[tuple[str, Mapping[str, EncodedMap]]]:
        for files in samples:
            try:
                yield files.name, self._encoded(files)
            except DataError as error:
                damaged.append(str(error))

    def _encoded(self, files: SampleFiles) -> Mapping[str, EncodedMap]:
        arrays = {name: _stored(path, folder=name) for name, path in files.paths.items()}
        check_same_size(files, arrays)
        return {name: self._encode(array, path=files.paths[name], folder=name) for name, array in arrays.items()}

    def _encode(self, array: Array, *, path: Path, folder: str) -> EncodedMap:
        modality = modality_of(folder)
        small = array if self.store_size is None else shrink(array, modality=modality, store_size=self.store_size)
        if kind_of(modality) == "image":
            if small is not array:
                return EncodedMap(content=jpeg(small, quality=self.jpeg_quality), codec="jpeg", shape=small.shape)
            if (content := _same_jpeg(path, array)) is not None:
                return EncodedMap(content=content, codec="jpeg", shape=array.shape)
        content, codec = compress(small)
        return EncodedMap(content=content, codec=codec, shape=small.shape)


def _stored(path: Path, *, folder: str) -> Array:
    """Decode a file, labels and depth as the numbers that it holds."""
    modality = modality_of(folder)
    return decode(path, modality="semseg" if kind_of(modality) == "labels" else modality, spec=ANY_CODES)


def _same_jpeg(path: Path, array: Array) -> bytes | None:
    """Return a JPEG's bytes if the reader of shards sees the same pixels in them (of CMYK or a PNG's it does not)."""
    if path.suffix.lower() not in JPEG_SUFFIXES:
        return None
    content = path.read_bytes()
    try:
        same = np.array_equal(restore(content, codec="jpeg", shape=array.shape), array)
    except ValueError:
        return None
    return content if same else None

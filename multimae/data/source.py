"""Where samples come from, plain files or shards: the questions of `layout.py`, answered for both. Free of torch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multimae.data import layout
from multimae.data.arrangements import VALIDITY
from multimae.data.decode import Array, decode, interpret
from multimae.data.layout import MEASURED, Missing
from multimae.data.packed.samples import (
    PackedMaps,
    PackedSamples,
    is_packed,
    list_packed,
    packed_classes,
    packed_fingerprint,
    packed_modalities,
)
from multimae.data.packed.shards import Member
from multimae.data.sample import DataError, SampleFiles, Samples
from multimae.data.spec import DatasetSpec
from multimae.tables.modalities import MODALITIES

AnySamples = Samples | PackedSamples
AnyMaps = SampleFiles | PackedMaps


def list_samples(
    root: Path,
    split: str,
    modalities: Sequence[str],
    *,
    folders: Mapping[str, str] | None = None,
    missing: Missing = "error",
) -> AnySamples:
    """Return the samples of a split, sorted by name; by default every name must be there in every modality."""
    listed = list_packed if is_packed(root) else layout.list_samples
    return listed(root, split, modalities, folders=folders, missing=missing)


def with_validity(root: Path, split: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Add `mask_valid` to modalities that may be invalid somewhere, where the data set has it."""
    if not is_packed(root):
        return layout.with_validity(root, split, modalities)
    wanted = tuple(modalities)
    measured = any(name in MODALITIES and MODALITIES[name].kind in MEASURED for name in wanted)
    if VALIDITY in wanted or not measured or VALIDITY not in packed_modalities(root, split):
        return wanted
    return (*wanted, VALIDITY)


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of the training split's classes in the order of their numbers; none where there are none."""
    if is_packed(root) and not (root / "train" / "labels.csv").is_file():
        return packed_classes(root)
    return layout.class_names(root)


def fingerprint(root: Path, splits: Iterable[str], modalities: Sequence[str]) -> str:
    """Return a sha256 that any file added, lost or rewritten changes; of shards it covers all modalities."""
    if is_packed(root):
        return packed_fingerprint(root, splits)
    return layout.fingerprint(root, splits, modalities)


def read_map(place: Path | Member, *, modality: str, spec: DatasetSpec) -> Array:
    """Return one map as `decode` does, from a file or a shard."""
    if isinstance(place, Path):
        return decode(place, modality=modality, spec=spec)
    return interpret(place.restored(), path=Path(str(place)), modality=modality, spec=spec)


def check_same_size(files: AnyMaps, arrays: Mapping[str, Array]) -> None:
    """Raise unless all maps of a sample have the same height and width."""
    sizes = {name: array.shape[:2] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{files.paths[name]} is {width}x{height}" for name, (height, width) in sizes.items())
        raise DataError(f"sample {files.name!r}: modalities differ in size: {listed}")

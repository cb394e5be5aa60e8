"""Which data a sweep runs on: the user's, or the embedded rooms when none is named."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from experiments.plan.errors import PreconditionError, UsageError, unknown
from experiments.plan.planning import Data, kind_of, modalities_of
from experiments.plan.suite import Suite, SuiteRun
from multimae.cache import cache_dir
from multimae.data.arrangements import PSEUDO
from multimae.data.dataset import OpenedDataset
from multimae.data.open import find_dataset, open_dataset
from multimae.data.sample import DataError, DataNotFoundError, SampleMaps, Samples
from multimae.data.spec import DatasetSpec, known_names, spec
from multimae.door import in_words
from multimae.rooms.archive import unpack

STAND_INS: Mapping[str, str] = MappingProxyType({"nyuv2_13": "rooms_13", "rooms_13": "rooms_13"})
LABELLED = ("depth", "semseg", "normal")
"""What a network can predict where it was not measured."""


def find_all_data(runs: Sequence[SuiteRun], *, data_root: Path | None) -> Mapping[str, Data]:
    """Return the data that runs read, by the name of the data set each asks for."""
    if data_root is None:
        _require_known(runs)
    readers: dict[str, list[SuiteRun]] = {}
    for run in runs:
        readers.setdefault(run.dataset_name if data_root else stand_in(run.dataset_name), []).append(run)
    found = {name: find_data(some[0].dataset, data_root=data_root, runs=some) for name, some in readers.items()}
    return found if data_root else {run.dataset_name: found[stand_in(run.dataset_name)] for run in runs}


def _require_known(runs: Sequence[SuiteRun]) -> None:
    """Raise PreconditionError where rooms would stand in for a data set that a suite describes itself."""
    for run in runs:
        dataset = run.dataset
        if isinstance(dataset, str) or (dataset.name in known_names() and dataset == spec(dataset.name)):
            continue
        raise PreconditionError(
            f"{run.task.name} reads {dataset.name!r}, a data set that the suite describes: pass the folder that holds "
            "it as --data-root DIR, or choose --dataset rooms to try the suite on rooms"
        )


def stand_in(dataset: str) -> str:
    """Return what is read where a data set is not at hand: rooms, with coarser classes where the data set has them."""
    return STAND_INS.get(dataset, "rooms")


def find_data(dataset: str | DatasetSpec, *, data_root: Path | None, runs: Sequence[SuiteRun]) -> Data:
    """Return the data of `dataset` under `data_root` that `runs` read; with no data root, the embedded rooms."""
    described = spec(dataset) if isinstance(dataset, str) else dataset
    if data_root is None:
        described = spec(stand_in(described.name))
    try:
        opened = find_dataset(data_root, described) if data_root else open_dataset(unpack(cache_dir()), described)
        folders = tuple(sorted({folder for run in runs for folder in _folders(run)}))
        counts = {split: min(len(_samples(opened, split, run)) for run in _different(runs)) for split in opened.splits}
        data = Data(
            name=described.name,
            described=None if data_root is None or isinstance(dataset, str) else dataset,
            root=opened.root.resolve(),
            fingerprint=opened.fingerprint(opened.splits, folders),
            folders=folders,
            num_train=counts["train"],
            num_test=counts["test"],
            num_val=counts.get("val", 0),
            num_labels=len(opened.class_names()) if any(kind_of(run).wants_classes for run in runs) else 0,
        )
    except DataError as error:
        raise PreconditionError(str(error)) from error
    except OSError as error:
        raise PreconditionError(in_words(error)) from error
    unlabelled = [run.name for run in runs if kind_of(run).wants_classes and not data.num_labels]
    if unlabelled:
        raise PreconditionError(
            f"{unlabelled[0]} needs classes, but {opened.root} has none: put the files into class folders "
            "(train/rgb/<class>/<name>) or list them in train/labels.csv and test/labels.csv (name,label)"
        )
    return data


def on_dataset(suite: Suite, *, name: str | None, data_root: Path | None) -> Suite:
    """Return the suite with all of its parts on the data set named on the command line, if one is."""
    wanted = (name,) if name else suite.datasets
    if unheard := [one for one in wanted if isinstance(one, str) and one not in known_names()]:
        raise unknown("data set", unheard[0], known_names())
    if name is None:
        return suite
    if name != stand_in(name) and data_root is None:
        raise UsageError(f"--dataset {name} wants --data-root, the folder that holds it; without one, rooms serve")
    return suite.on(name)


def _different(runs: Sequence[SuiteRun]) -> list[SuiteRun]:
    """Keep one run of those that read the same files."""
    different: dict[object, SuiteRun] = {}
    for run in runs:
        different.setdefault((_folders(run), kind_of(run).missing(run.recipe)), run)
    return list(different.values())


def _folders(run: SuiteRun) -> tuple[str, ...]:
    return tuple(f"pseudo_{name}" if name in run.recipe.pseudo else name for name in modalities_of(run))


def _samples(opened: OpenedDataset, split: str, run: SuiteRun) -> Samples[SampleMaps]:
    folders = {name: f"pseudo_{name}" for name in run.recipe.pseudo}
    try:
        return opened.samples(split, modalities_of(run), folders=folders, missing=kind_of(run).missing(run.recipe))
    except DataNotFoundError as error:
        absent = [folder for folder in _folders(run) if not opened.has(split, folder)]
        if not absent or absent[0].removeprefix(PSEUDO) not in LABELLED:
            raise
        hint = "`multimae data pseudo-label` predicts depth, classes and normals, or choose other --checkpoints"
        raise DataNotFoundError(f"{error}\n{run.name} reads it; {hint}") from error

"""Which data a sweep runs on: the user's, or the embedded rooms when none is named."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.task import PretrainingRecipe
from experiments.errors import PreconditionError
from experiments.plan import Data, modalities_of
from experiments.suite import Run
from multimae.cache import cache_dir
from multimae.data import rooms
from multimae.data.layout import Missing, class_names, find_root, fingerprint, list_samples
from multimae.data.sample import DataError, Samples
from multimae.data.spec import spec

SPLITS = ("train", "test")


def find_data(dataset: str, *, data_root: Path | None, runs: Sequence[Run]) -> Data:
    """Return the data of `dataset` under `data_root` that `runs` read; with no data root, the embedded rooms."""
    name = dataset if data_root else "rooms"
    described = spec(name)
    try:
        root = find_root(data_root, described) if data_root else rooms.unpack(cache_dir())
        wanted = [_folders(run) for run in runs]
        counts = {split: min(len(_samples(root, split, run)) for run in _different(runs)) for split in SPLITS}
        data = Data(
            name=name,
            root=root.resolve(),
            fingerprint=fingerprint(root, SPLITS, sorted(set().union(*wanted))),
            num_train=counts["train"],
            num_test=counts["test"],
            num_labels=len(class_names(root)) if any(run.task.kind == "classification" for run in runs) else 0,
        )
    except (DataError, OSError) as error:
        raise PreconditionError(str(error)) from error
    unlabelled = [run.name for run in runs if run.task.kind == "classification" and not data.num_labels]
    if unlabelled:
        raise PreconditionError(
            f"{unlabelled[0]} needs classes, but {root} has none: put the files into class folders "
            "(train/rgb/<class>/<name>) or list them in train/labels.csv and test/labels.csv (name,label)"
        )
    return data


def _different(runs: Sequence[Run]) -> list[Run]:
    """Keep one run of those that read the same files."""
    return list({(_folders(run), _missing(run)): run for run in runs}.values())


def _folders(run: Run) -> tuple[str, ...]:
    return tuple(f"pseudo_{name}" if name in run.recipe.pseudo else name for name in modalities_of(run))


def _missing(run: Run) -> Missing:
    return run.recipe.missing if isinstance(run.recipe, PretrainingRecipe) else "error"


def _samples(root: Path, split: str, run: Run) -> Samples:
    folders = {name: f"pseudo_{name}" for name in run.recipe.pseudo}
    return list_samples(root, split, modalities_of(run), folders=folders, missing=_missing(run))

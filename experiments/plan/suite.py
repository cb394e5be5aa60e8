"""A suite: which tasks, inputs, initialisations and seeds are measured, and their expansion to runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from benchmarks.recipes import Recipe
from benchmarks.task import Profile, Task
from experiments.plan.distinct import (
    check_different,
    check_folder_name,
    check_modalities,
    check_one_meaning,
    check_seeds,
)
from experiments.plan.errors import UsageError, unknown
from experiments.plan.modules import load_module
from multimae.checkpoints.reading import Reading
from multimae.data.spec import DatasetSpec
from multimae.tables.sizes import SIZES

PATCH_SIZE = 16
SCRATCH = "scratch"
SUITES_DIR = Path(__file__).parents[1] / "suites"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A task measured from these input modalities, on the suite's data set unless it names another."""

    task: Task
    inputs: tuple[str, ...]
    dataset: str | DatasetSpec = ""

    def __post_init__(self) -> None:
        check_modalities(self.inputs, where=f"the inputs of {self.task.name}")


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """A pre-training of the suite; transfers that start at `name` start from its weights.

    `outputs`: the modalities it predicts, by default its inputs. `dataset`: by default the suite's.
    """

    name: str = "pretrain"
    task: Task
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    dataset: str | DatasetSpec = ""

    def __post_init__(self) -> None:
        check_modalities(self.inputs, where=f"the inputs of {self.task.name}")
        check_modalities(self.outputs, where=f"the outputs of {self.task.name}")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Name pre-trainings and the transfers that are measured from each of `checkpoints`.

    A data set is the name of one of the library's, or described in place. A checkpoint is the name of a pre-training,
    `scratch`, or a name of the catalogue of published weights. The paper profile measures from `published`, where there
    are any. A suite without transfers only pre-trains.
    """

    name: str
    title: str
    dataset: str | DatasetSpec
    pretrainings: tuple[Pretraining, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    checkpoints: tuple[str, ...] = ("pretrain", SCRATCH)
    published: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    sizes: Mapping[Profile, str] = field(default_factory=lambda: {"cpu": "tiny", "paper": "base"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", MappingProxyType(dict(self.sizes)))
        check_folder_name(self.name, what="suite")
        for name in (*(part.task.name for part in self.parts), *(part.name for part in self.pretrainings)):
            check_folder_name(name, what="task or pre-training")
        places = [(part, f"{type(part).__name__} {'+'.join(part.inputs)}") for part in self.parts]
        check_one_meaning(
            ((part.task.name, part.task, where) for part, where in places),
            what="task",
            remedy="give one another name, as TASK.variant('another-name', lr=1e-3) does",
        )
        described = [(part.dataset or self.dataset, where) for part, where in places]
        check_one_meaning(
            ((name_of(dataset), dataset, where) for dataset, where in described),
            what="data set",
            remedy="give one another name",
        )
        check_different((part.name for part in self.pretrainings), what="pre-trainings of the suite")
        check_different(((part.task.name, "+".join(part.inputs)) for part in self.transfers), what="transfers")
        check_different(self.checkpoints, what="checkpoints of the suite")
        check_seeds(self.seeds)

    @property
    def parts(self) -> tuple[Pretraining | Transfer, ...]:
        """What is trained, pre-trainings first."""
        return (*self.pretrainings, *self.transfers)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task once, pre-trainings first."""
        return tuple({part.task.name: part.task for part in self.parts}.values())

    @property
    def datasets(self) -> tuple[str | DatasetSpec, ...]:
        """Return every data set once that the suite reads."""
        return tuple(dict.fromkeys(part.dataset or self.dataset for part in self.parts))

    def on(self, dataset: str) -> "Suite":
        """Return the suite with all of its parts on one data set."""
        return replace(
            self,
            dataset=dataset,
            pretrainings=tuple(replace(part, dataset="") for part in self.pretrainings),
            transfers=tuple(replace(part, dataset="") for part in self.transfers),
        )


@dataclass(frozen=True, kw_only=True)
class StartingWeights:
    """Published or own weights in a file, which transfers may start from under `name`.

    `reading`: which of the file's weights are meant, and for which pixels. `patch_size` 0: only torch could tell.
    """

    name: str
    path: Path
    digest: str
    reading: Reading = field(default_factory=Reading)
    patch_size: int = PATCH_SIZE
    num_global_tokens: int = 1

    @property
    def identity(self) -> str:
        """The file's digest, and how it is read where that is not as usual."""
        return "#".join([self.digest, *self.reading.words])


@dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """One training: a task from `inputs`, starting at `checkpoint`, with one seed.

    `outputs` are a pre-training's, `provides` the name under which transfers start from it; `weights` are what a
    transfer starts from if that is a file. A trial of a search is `judged_on` held-out images instead of the test
    split, and stops at `rungs` (steps) for the search's word. `start_patch_size` is that of what it starts from.
    """

    suite: str
    task: Task
    dataset: str | DatasetSpec
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    provides: str = ""
    checkpoint: str
    weights: StartingWeights | None = None
    seed: int
    recipe: Recipe
    size: str
    profile: Profile
    judged_on: Literal["test", "val"] = "test"
    rungs: tuple[int, ...] = ()
    start_patch_size: int = PATCH_SIZE

    @property
    def patch_size(self) -> int:
        """The size of patches: the recipe's, or that of what the run starts from; 0 where nobody can tell."""
        return self.recipe.patch_size or self.start_patch_size

    @property
    def num_global_tokens(self) -> int:
        """How many global tokens the encoder has: as many as the weights that it starts from."""
        return self.weights.num_global_tokens if self.weights else 1

    @property
    def dataset_name(self) -> str:
        """The name of the data set that the run asks for; without a data root, rooms stand in for it."""
        return name_of(self.dataset)

    @property
    def name(self) -> str:
        """What the run is called before its digest: `<task>-<checkpoint>-<inputs>-s<seed>`."""
        return f"{self.task.name}-{self.checkpoint}-{'+'.join(self.inputs)}-s{self.seed}"


def name_of(dataset: str | DatasetSpec) -> str:
    """Return the name of a data set, of the library or described in place."""
    return dataset if isinstance(dataset, str) else dataset.name


def size_of(suite: Suite, *, chosen: str | None, profile: Profile) -> str:
    """Return the size of the suite's models: the one chosen, else the suite's under the profile."""
    if chosen is None and profile not in suite.sizes:
        raise UsageError(f"suite {suite.name!r} has no size for --profile {profile}; choose one with --size")
    size = chosen or suite.sizes[profile]
    if size not in SIZES:
        raise unknown("size", size, SIZES)
    return size


def expand(
    suite: Suite,
    *,
    recipes: Mapping[str, Recipe],
    profile: Profile,
    size: str,
    seeds: Sequence[int],
    checkpoints: Sequence[str],
    weights: Sequence[StartingWeights] = (),
) -> tuple[SuiteRun, ...]:
    """List the suite's runs, the pre-trainings first; `recipes` holds the recipe of every task by name.

    Only what `checkpoints` name is pre-trained; `weights` are those of them that are files.
    """
    files = {file.name: file for file in weights}
    trained = [part for part in suite.pretrainings if part.name in checkpoints]
    patches = {part.name: recipes[part.task.name].patch_size or PATCH_SIZE for part in trained}
    patches |= {file.name: file.patch_size for file in weights}

    def run(part: Transfer | Pretraining, checkpoint: str, seed: int) -> SuiteRun:
        return SuiteRun(
            suite=suite.name,
            task=part.task,
            dataset=part.dataset or suite.dataset,
            inputs=part.inputs,
            outputs=part.outputs if isinstance(part, Pretraining) else (),
            provides=part.name if isinstance(part, Pretraining) else "",
            checkpoint=checkpoint,
            weights=files.get(checkpoint),
            seed=seed,
            recipe=recipes[part.task.name],
            size=size,
            profile=profile,
            start_patch_size=patches.get(checkpoint, PATCH_SIZE),
        )

    pretrainings = tuple(run(part, SCRATCH, 0) for part in trained)
    # Seeds vary slowest: a sweep stopped half-way has whole comparisons of the first seeds.
    transfers = tuple(
        run(transfer, checkpoint, seed) for seed in seeds for transfer in suite.transfers for checkpoint in checkpoints
    )
    return (*pretrainings, *transfers)


def load_suite(name: str) -> Suite:
    """Return the suite of that name, or the SUITE of the Python file at that path."""
    path = _file_of(name)
    if not path.is_file() and not name.endswith(".py"):
        raise unknown("suite", name, known_suites())
    suite = getattr(load_module(path, kind="suite"), "SUITE", None)
    if not isinstance(suite, Suite):
        raise UsageError(f"{path} defines no SUITE = Suite(...); it has {type(suite).__name__}")
    if suite.name in known_suites() and own_file(name):
        raise UsageError(
            f"{path} calls its suite {suite.name!r}, as one that ships is called, whose runs and report it would take "
            f"over; give it a name of its own, such as my-{suite.name}"
        )
    return suite


def own_file(name: str) -> Path | None:
    """Return the file of a suite that a user wrote, None for one that ships."""
    path = _file_of(name).resolve()
    return None if path.parent == SUITES_DIR.resolve() else path


def _file_of(name: str) -> Path:
    return Path(name) if name.endswith(".py") else SUITES_DIR / f"{name.replace('-', '_')}.py"


def known_suites() -> list[str]:
    """Name the suites that ship."""
    return sorted(file.stem.replace("_", "-") for file in SUITES_DIR.glob("*.py") if file.stem != "__init__")

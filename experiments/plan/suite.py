"""A suite: which tasks, inputs, initialisations and seeds are measured, and their expansion to runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from benchmarks.recipes import Recipe
from benchmarks.task import Profile, Task
from experiments.plan.errors import UsageError, unknown
from experiments.plan.folders import require_folder_name
from experiments.plan.modules import load_module
from multimae.data.spec import DatasetSpec

SCRATCH = "scratch"
SUITES_DIR = Path(__file__).parents[1] / "suites"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A task measured from these input modalities, on the suite's data set unless it names another."""

    task: Task
    inputs: tuple[str, ...]
    dataset: str | DatasetSpec = ""


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

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task once, pre-trainings first."""
        parts: tuple[Pretraining | Transfer, ...] = (*self.pretrainings, *self.transfers)
        return tuple({part.task.name: part.task for part in parts}.values())

    @property
    def datasets(self) -> tuple[str | DatasetSpec, ...]:
        """Return every data set once that the suite reads."""
        parts: tuple[Pretraining | Transfer, ...] = (*self.pretrainings, *self.transfers)
        return tuple(dict.fromkeys(part.dataset or self.dataset for part in parts))

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
    """Published or own weights in a file, which transfers may start from under `name`."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """One training: a task from `inputs`, starting at `checkpoint`, with one seed.

    `outputs` are a pre-training's, `provides` the name under which transfers start from it; `weights` are what a
    transfer starts from if that is a file. A trial of a search is `judged_on` held-out images instead of the test
    split, and stops at `rungs` (steps) for the search's word.
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

    @property
    def dataset_name(self) -> str:
        """The name of the data set that the run asks for; without a data root, rooms stand in for it."""
        return self.dataset if isinstance(self.dataset, str) else self.dataset.name

    @property
    def name(self) -> str:
        """What the run is called before its digest: `<task>-<checkpoint>-<inputs>-s<seed>`."""
        return f"{self.task.name}-{self.checkpoint}-{'+'.join(self.inputs)}-s{self.seed}"


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
        )

    pretrainings = tuple(run(part, SCRATCH, 0) for part in suite.pretrainings if part.name in checkpoints)
    # Seeds vary slowest: a sweep stopped half-way has whole comparisons of the first seeds.
    transfers = tuple(
        run(transfer, checkpoint, seed) for seed in seeds for transfer in suite.transfers for checkpoint in checkpoints
    )
    return (*pretrainings, *transfers)


def load_suite(name: str) -> Suite:
    """Return the suite of that name, or the SUITE of the Python file at that path."""
    path = Path(name) if name.endswith(".py") else SUITES_DIR / f"{name.replace('-', '_')}.py"
    known = sorted(file.stem.replace("_", "-") for file in SUITES_DIR.glob("*.py") if file.stem != "__init__")
    if not path.is_file():
        raise unknown("suite", name, known)
    suite = getattr(load_module(path, kind="suite"), "SUITE", None)
    if not isinstance(suite, Suite):
        raise UsageError(f"{path} defines no SUITE = Suite(...); it has {type(suite).__name__}")
    require_folder_name("suite", suite.name)
    return suite

"""A suite: which tasks, inputs, initialisations and seeds are measured, and their expansion to runs."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from benchmarks.task import Profile, Recipe, Task
from experiments.errors import UsageError, unknown

Checkpoint = Literal["pretrain", "scratch"]
SUITES_DIR = Path(__file__).parent / "suites"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A task measured from these input modalities."""

    task: Task
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Name a pre-training and the transfers that are measured with it and without it."""

    name: str
    title: str
    dataset: str
    pretraining: Transfer
    transfers: tuple[Transfer, ...]
    checkpoints: tuple[Checkpoint, ...] = ("pretrain", "scratch")
    seeds: tuple[int, ...] = (0, 1, 2)
    sizes: Mapping[Profile, str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: a task from `inputs`, starting at `checkpoint`, with one seed."""

    suite: str
    task: Task
    inputs: tuple[str, ...]
    checkpoint: Checkpoint
    seed: int
    recipe: Recipe
    size: str
    profile: Profile

    @property
    def name(self) -> str:
        """What the run is called before its digest: `<task>-<checkpoint>-<inputs>-s<seed>`."""
        return f"{self.task.name}-{self.checkpoint}-{'+'.join(self.inputs)}-s{self.seed}"


def expand(
    suite: Suite, *, recipes: Mapping[str, Recipe], profile: Profile, size: str, seeds: Sequence[int]
) -> tuple[Run, ...]:
    """List the suite's runs, the pre-training first; `recipes` holds the recipe of every task by name."""

    def run(transfer: Transfer, checkpoint: Checkpoint, seed: int) -> Run:
        return Run(
            suite=suite.name,
            task=transfer.task,
            inputs=transfer.inputs,
            checkpoint=checkpoint,
            seed=seed,
            recipe=recipes[transfer.task.name],
            size=size,
            profile=profile,
        )

    # Seeds vary slowest: a sweep stopped half-way has whole comparisons of the first seeds.
    transfers = tuple(
        run(transfer, checkpoint, seed)
        for seed in seeds
        for transfer in suite.transfers
        for checkpoint in suite.checkpoints
    )
    if "pretrain" not in suite.checkpoints:
        return transfers
    return (run(suite.pretraining, "scratch", 0), *transfers)


def load_suite(name: str) -> Suite:
    """Return the suite of that name, or the SUITE of the Python file at that path."""
    path = Path(name) if name.endswith(".py") else SUITES_DIR / f"{name}.py"
    known = sorted(file.stem for file in SUITES_DIR.glob("*.py") if file.stem != "__init__")
    if not path.is_file():
        raise unknown("suite", name, known)
    suite = getattr(_module(path), "SUITE", None)
    if not isinstance(suite, Suite):
        raise UsageError(f"{path} defines no SUITE = Suite(...); it has {type(suite).__name__}")
    return suite


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"suite_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

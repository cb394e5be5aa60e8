"""Where the files of runs and suites lie: no other module spells their names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunDir:
    """The folder of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The config that a job executes."""
        return self.path / "config.py"

    @property
    def run(self) -> Path:
        """What the run is: written once, before its first job."""
        return self.path / "run.json"

    @property
    def result(self) -> Path:
        """Its numbers: there from the moment that the run is finished."""
        return self.path / "result.json"

    @property
    def earlier_scores(self) -> Path:
        """The results that other code had scored before, one file each."""
        return self.path / "scores"

    @property
    def lease(self) -> Path:
        """The number of the attempt that owns the run."""
        return self.path / "lease"

    @property
    def until(self) -> Path:
        """The step up to which a search lets the run train."""
        return self.path / "until.json"

    @property
    def attempts(self) -> Path:
        """A numbered folder per start."""
        return self.path / "attempts"

    @property
    def spools(self) -> Path:
        """A file of events per start."""
        return self.path / "spool"

    @property
    def artifacts(self) -> Path:
        """Pictures."""
        return self.path / "artifacts"

    @property
    def checkpoints(self) -> Path:
        """The states a training goes on from, and in the end its weights."""
        return self.path / "checkpoints"

    def attempt(self, number: int) -> Path:
        """The folder of one start."""
        return self.attempts / str(number)

    def spool(self, attempt: int) -> Path:
        """The events of one start."""
        return self.spools / f"{attempt}.jsonl"

    def spool_files(self) -> Iterator[tuple[int, Path]]:
        """Yield number and spool of every start that has one, oldest first."""
        found = ((int(path.stem), path) for path in self.spools.glob("*.jsonl") if path.stem.isdigit())
        return iter(sorted(found))


@dataclass(frozen=True)
class CheckpointDir:
    """The folder of a run's checkpoints."""

    path: Path

    @property
    def last(self) -> Path:
        """The newest checkpoint; of a finished run, its weights."""
        return self.path / "last.pth"

    @property
    def fresh(self) -> Path:
        """The checkpoint that is about to become the last."""
        return self.path / "next.pth"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last, in case that one is torn."""
        return self.path / "previous.pth"

    @property
    def best(self) -> Path:
        """The best weights so far, where a recipe selects some."""
        return self.path / "best.pth"


@dataclass(frozen=True)
class AttemptDir:
    """The folder of one start of a run."""

    path: Path

    @property
    def job(self) -> Path:
        """What was submitted."""
        return self.path / "job.json"

    @property
    def places(self) -> Path:
        """Where it reads."""
        return self.path / "places.json"

    @property
    def started(self) -> Path:
        """Which process runs it."""
        return self.path / "started.json"

    @property
    def ending(self) -> Path:
        """How it ended."""
        return self.path / "exit.json"

    @property
    def ending_of_rank(self) -> Path:
        """How a rank other than 0 ended."""
        return self.path / "exit-of-a-rank.json"

    @property
    def out(self) -> Path:
        """Its standard output."""
        return self.path / "out.log"

    @property
    def err(self) -> Path:
        """Its standard error."""
        return self.path / "err.log"


@dataclass(frozen=True)
class SuiteDir:
    """The folder of a suite's runs, or of a search's."""

    path: Path

    @property
    def sweep(self) -> Path:
        """Which runs the suite consists of now."""
        return self.path / "sweep.json"

    @property
    def search(self) -> Path:
        """What a search is about."""
        return self.path / "search.json"

    @property
    def journal(self) -> Path:
        """The trials of a search."""
        return self.path / "study.journal"

    @property
    def code(self) -> Path:
        """The copies of the code that jobs and drivers run."""
        return self.path / "code"

    @property
    def carried(self) -> Path:
        """What commands have planned, for the processes that carry it out."""
        return self.path / "carried"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report"

    @property
    def lock(self) -> Path:
        """The file whose lock makes a process the folder's only driver."""
        return self.path / ".driver.lock"

    @property
    def log(self) -> Path:
        """The output of a driver in the background."""
        return self.path / "driver.log"

    @property
    def driver(self) -> Path:
        """The folder of a driver that is a job itself."""
        return self.path / "driver"

    def run(self, key: str) -> Path:
        """The folder of a run."""
        return self.path / key


def suites_in(runs_dir: Path) -> tuple[str, ...]:
    """Name the suites and searches that have runs below a runs folder."""
    return tuple(sorted(path.parent.name for path in runs_dir.glob("*/sweep.json")))


def searches_in(runs_dir: Path) -> tuple[str, ...]:
    """Name the searches below a runs folder."""
    return tuple(sorted(path.parent.name for path in runs_dir.glob("*/search.json")))


def finished_in(runs_dir: Path) -> tuple[Path, ...]:
    """List the folders of all finished runs below a runs folder."""
    return tuple(path.parent for path in sorted(runs_dir.glob("*/*/result.json")))

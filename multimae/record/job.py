"""What was submitted for a start of a run, and the states a scheduler may say it is in."""

from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from multimae.record.files import read_json, write_json


class JobState(Enum):
    """What a scheduler says about a job; what became of the run is in its own files."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """Nobody can say now: not a reason to think that the job has ended."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One submission. `job_id` is None from just before it until the scheduler has answered."""

    attempt: int
    job_id: str | None
    executor: str
    submitted: float
    name: str

    @classmethod
    def read(cls, path: Path) -> "Job | None":
        """Read job.json; None where nothing was submitted, as for an attempt that a requeued job opened itself."""
        record = read_json(path)
        if record is None:
            return None
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, asdict(self))

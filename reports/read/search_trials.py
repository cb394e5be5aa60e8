"""What a search has tried: its trials as plain records, from the study and the run directories."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimae.record.events import read_history
from multimae.record.files import read_json
from multimae.record.nearest import unknown
from multimae.record.paths import SuiteDir, searches_in
from multimae.record.result import Result

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial. `scores` are at its rungs, `values` the objective's, both empty where there are none."""

    number: int
    state: str
    chosen: Mapping[str, Any]
    scores: Mapping[int, float]
    values: tuple[float, ...]
    diverged: bool
    why: str
    run: str
    hours: float
    recipe: bool

    @property
    def last_score(self) -> float:
        """The score at the last rung it reached, else the first objective's value; NaN before there is one."""
        if self.scores:
            return self.scores[max(self.scores)]
        return self.values[0] if self.values else math.nan


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """A search: what search.json says, its trials, the hours spent on repeats."""

    described: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    repeat_hours: float
    study: "optuna.Study"

    @property
    def finished(self) -> tuple[TrialRecord, ...]:
        """The trials that ended with numbers."""
        return tuple(one for one in self.trials if one.state == "complete" and all(map(math.isfinite, one.values)))

    @property
    def higher_is_better(self) -> bool:
        return bool(self.described["directions"][0] == "maximize")

    def best(self) -> TrialRecord | None:
        """The best finished trial by the first objective, the earlier of two that are equal."""
        sign = 1.0 if self.higher_is_better else -1.0
        return max(self.finished, key=lambda one: (sign * one.values[0], -one.number), default=None)

    def front(self) -> tuple[TrialRecord, ...]:
        """The finished trials that no other beats in every objective."""
        signs = [1.0 if direction == "maximize" else -1.0 for direction in self.described["directions"]]
        scored = {
            one.number: [sign * value for sign, value in zip(signs, one.values, strict=True)] for one in self.finished
        }
        return tuple(one for one in self.finished if not _dominated(scored[one.number], by=scored.values()))


def read_search(runs_dir: Path, name: str) -> SearchRecord:
    """Read a search at any time of its life; FileNotFoundError lists those there are."""
    folder = runs_dir / name
    described = read_json(SuiteDir(folder).search)
    if described is None:
        raise FileNotFoundError(f"{unknown('search', name, searches_in(runs_dir))} under {runs_dir}")
    study = _study(folder, described)
    trials = tuple(
        _trial(trial, folder=folder) for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"
    )
    repeated = {key for keys in described["repeats"].values() for key in keys}
    return SearchRecord(
        described=described,
        trials=trials,
        repeat_hours=sum(_hours(folder / key) for key in repeated),
        study=study,
    )


def repeated_values(runs_dir: Path, search: SearchRecord, *, label: str) -> dict[int, float]:
    """Return the test value of each seed of the winner's or the recipe's repeats that have finished."""
    primary = search.described["primary"]
    found: dict[int, float] = {}
    for key in search.described["repeats"].get(label, ()):
        result = Result.read(runs_dir / search.described["name"] / key)
        for row in result.rows if result else ():
            if (row.split, row.protocol, row.metric) == ("test", primary["protocol"], primary["metric"]):
                assert result is not None
                found[result.seed] = row.number
    return found


class DamagedStudyError(Exception):
    """The record of a search cannot be read."""


def require_readable(journal: Path) -> None:
    """Raise DamagedStudyError where a line of a journal is none of Optuna's; a last one that is torn is no damage."""
    if not journal.exists():
        return
    with journal.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and not _is_entry(line):
                raise DamagedStudyError(
                    f"{journal}: line {number} is damaged; remove it and all lines behind it, and the search goes on "
                    "from there with the runs that have finished"
                )


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line.decode())
    except ValueError:
        return False
    return isinstance(entry, dict) and isinstance(entry.get("op_code"), int)


def _study(folder: Path, described: Mapping[str, Any]) -> "optuna.Study":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = SuiteDir(folder).journal
    if not described["storage"]:
        require_readable(journal)
    storage: Any = described["storage"] or JournalStorage(JournalFileBackend(str(journal)))
    try:
        return optuna.load_study(study_name=described["name"], storage=storage)
    except KeyError as error:
        place = "its database" if described["storage"] else journal
        raise DamagedStudyError(f"{place} holds no study {described['name']!r} any more") from error


def _trial(trial: Any, *, folder: Path) -> TrialRecord:
    run = trial.user_attrs.get("training", "")
    return TrialRecord(
        number=trial.number,
        state=trial.state.name.lower(),
        chosen=trial.user_attrs.get("values", trial.params),
        scores=dict(sorted(trial.intermediate_values.items())),
        values=tuple(trial.values or ()) if trial.state.name == "COMPLETE" else (),
        diverged=bool(trial.user_attrs.get("diverged", False)),
        why=str(trial.user_attrs.get("failed", "")),
        run=run,
        hours=_hours(folder / run) if run else 0.0,
        recipe=bool(trial.user_attrs.get("recipe", False)),
    )


def _hours(run_dir: Path) -> float:
    result = Result.read(run_dir)
    return (result.seconds if result else read_history(run_dir).seconds) / 3600


def _dominated(scores: Sequence[float], *, by: Any) -> bool:
    return any(
        all(theirs >= ours for theirs, ours in zip(other, scores, strict=True)) and list(other) != list(scores)
        for other in by
    )


def as_json(trial: TrialRecord, *, search: SearchRecord) -> str:
    """Write a trial as JSON for scripts."""
    return json.dumps(
        {
            "trial": trial.number,
            "run": trial.run,
            "values": dict(zip(search.described["objective"], trial.values, strict=True)),
            "chosen": dict(trial.chosen),
        },
        indent=1,
    )

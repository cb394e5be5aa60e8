"""The trainings of a search: every trial owns a run, with a directory, a digest and jobs like any other."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.drive.driver import Driver
from experiments.drive.trainings import work_of
from experiments.plan.planning import PlannedRun
from experiments.plan.rundirs import prepare
from experiments.searches.loop import Look
from experiments.searches.planning import SearchPlan
from multimae.record.events import read_events, spool_sizes
from multimae.record.result import Result
from multimae.record.rungs import raise_until, read_until
from multimae.record.state import RunState

HOURS = "gpu_hours"
PARAMS = "num_params"


class RunTrainings:
    """Train the trials of a plan as runs of `driver`."""

    def __init__(self, plan: SearchPlan, *, driver: Driver) -> None:
        self.plan = plan
        self.driver = driver
        self.planned: dict[str, PlannedRun] = {}
        self.states: Mapping[str, RunState] = {}
        self._read: dict[str, tuple[Mapping[int, int], dict[int, float]]] = {}

    def start(self, number: int, *, values: Mapping[str, Any], until: int) -> str:
        """Plan the trial's run and let it train up to `until`; it is submitted at the next `submit`.

        Another trial of the same values is another try of the same run: what it was submitted for before is forgotten.
        """
        planned = self.plan.trial(values)
        folder = prepare(planned, suite_dir=self.driver.suite_dir)
        raise_until(folder, step=until)
        self.add(planned)
        self.driver.submissions.pop(planned.key, None)
        return planned.key

    def add(self, planned: PlannedRun) -> None:
        """Let the driver train a run."""
        self.planned[planned.key] = planned
        self.driver.add(work_of(planned, suite_dir=self.driver.suite_dir, machine=self.driver.machine))

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Know a trial's run again that an earlier driver started."""
        self.add(self.plan.trial(values))

    def look(self, names: Mapping[int, str]) -> Mapping[int, Look]:
        self.states = self.driver.look()
        return {number: self._look(name) for number, name in names.items()}

    def submit(self) -> list[str]:
        """Submit what is to train and fits."""
        return self.driver.submit_ready(self.driver.look())

    def _look(self, key: str) -> Look:
        state, folder = self.states[key], self.driver.works[key].folder
        scores = self._scores(folder)
        if state.status == "finished":
            return Look(standing="finished", scores=scores, values=self._values(folder))
        if state.status == "paused":
            allowed = read_until(folder) or 0
            if allowed > max(scores, default=0):
                self.driver.promoted.add(key)
                return Look(standing="active", scores=scores)
            self.driver.promoted.discard(key)
            return Look(standing="waiting", scores=scores)
        if state.kind == "nan":
            return self._diverged(scores)
        if self.driver.is_lost(key, state):
            why = ": ".join(part for part in (state.kind or state.status, state.message) if part)
            return Look(standing="failed", scores=scores, message=why)
        return Look(standing="active", scores=scores)

    def _diverged(self, scores: Mapping[int, float]) -> Look:
        """A training without numbers has an answer, the worst: at the rung it did not reach, and in the end."""
        missed = [rung for rung in self.plan.rungs if rung not in scores][:1]
        return Look(
            standing="finished",
            scores={**scores, **dict.fromkeys(missed, math.nan)},
            values=tuple(math.nan for _ in self.plan.objective.names),
        )

    def _scores(self, folder: Path) -> dict[int, float]:
        """Return the validation metric at the rungs reached, as the newest attempt that passed them wrote it.

        A spool that has not grown, as those of all that wait, is not read again.
        """
        sizes = spool_sizes(folder)
        known_sizes, known = self._read.get(folder.name, ({}, {}))
        if sizes == known_sizes:
            return known
        name = f"val/{self.plan.objective.names[0].removeprefix('val_')}"
        found: dict[int, float] = {}
        for event in read_events(folder).events:
            step = event.fields.get("step")
            if event.kind == "metrics" and name in event.fields["values"] and step in self.plan.rungs:
                value = event.fields["values"][name]
                found[int(step)] = math.nan if value is None else float(value)
        self._read[folder.name] = (sizes, found)
        return found

    def _values(self, folder: Path) -> tuple[float, ...]:
        result = Result.read(folder)
        if result is None:
            raise FileNotFoundError(f"{folder} has no result any more")
        known = {row.metric: row.number for row in result.rows if row.split == "val"}
        known |= {HOURS: result.seconds / 3600, PARAMS: result.num_params}
        return tuple(float(known[name.removeprefix("val_")]) for name in self.plan.objective.names)

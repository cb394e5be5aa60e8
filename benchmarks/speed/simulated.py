"""Trainings that only take simulated time: curves that rise towards a height the hyper-parameters decide."""

import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from experiments.searches.loop import Look

Height = Callable[[Mapping[str, Any]], float]

SPREAD = 0.5
"""Standard deviation of the logarithm of a training's duration; the median of a step's is 1."""


def height(values: Mapping[str, Any]) -> float:
    """Return the best score a training reaches: lr of 1e-3 and a layer decay of 0.7 are the best."""
    lr, layer_decay = float(values["lr"]), float(values.get("layer_decay", 0.7))
    return 60 - 8 * abs(math.log10(lr) + 3) - 20 * abs(layer_decay - 0.7)


@dataclass
class Training:
    """One training: it goes from step `start` at `since` up to `until`; `judged` is the furthest it ever was."""

    values: Mapping[str, Any]
    seconds_per_step: float
    since: float
    until: int
    start: int = 0
    judged: int = 0

    def end(self) -> float:
        """Return when it stops."""
        return self.since + (self.until - self.start) * self.seconds_per_step

    def reached(self, now: float) -> int:
        """Return the step it is at."""
        steps = self.start + int((now - self.since) / self.seconds_per_step + 1e-6)
        return min(steps, self.until)


@dataclass
class SimulatedTrainings:
    """Trainings of `max_steps` steps under a clock that `tick` moves; how long one takes is decided by its number.

    A promoted one goes on from its checkpoint, or from scratch again, as where trials are jobs that know of no other.
    """

    max_steps: int
    rungs: tuple[int, ...]
    seed: int = 0
    promoted_from: Literal["checkpoint", "scratch"] = "checkpoint"
    height: Height = height
    num_objectives: int = 1
    now: float = 0.0
    trained: dict[str, Training] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    starts: list[tuple[str, int, int]] = field(default_factory=list)

    def start(self, number: int, *, values: Mapping[str, Any], until: int) -> str:
        """Train up to `until`; values that were trained before have their name already."""
        name = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:12]
        if name not in self.trained:
            pace = random.Random(f"{self.seed}:{number}").lognormvariate(0.0, SPREAD)
            self.trained[name] = Training(values, pace, since=self.now, until=until)
            self.starts.append((name, 0, until))
        elif until > self.trained[name].until:
            training = self.trained[name]
            training.judged = training.until
            training.start = training.until if self.promoted_from == "checkpoint" else 0
            training.since, training.until = self.now, until
            self.starts.append((name, training.start, until))
        self.lost.discard(name)
        return name

    def look(self, names: Mapping[int, str]) -> Mapping[int, Look]:
        """Say how these trainings stand now."""
        return {number: self._look(name) for number, name in names.items()}

    def ends(self) -> list[float]:
        """Return when the trainings that are under way reach where they may."""
        ends = [training.end() for training in self.trained.values()]
        return [end for end in ends if end > self.now]

    def tick(self) -> None:
        """Go on to the moment at which the next training stops."""
        self.now = min(self.ends(), default=self.now)

    @property
    def busy_seconds(self) -> float:
        """Return how long all trainings together take a slot."""
        return sum((until - start) * self.trained[name].seconds_per_step for name, start, until in self.starts)

    def _look(self, name: str) -> Look:
        training = self.trained[name]
        if name in self.lost:
            return Look(standing="failed", message="its node caught fire")
        reached = training.reached(self.now)
        judged = max(reached, training.judged)
        best = self.height(training.values)
        scores = {rung: best * (1 - math.exp(-3 * rung / self.max_steps)) for rung in self.rungs if rung <= judged}
        if reached < training.until:
            return Look(standing="active", scores=scores)
        if reached < self.max_steps:
            return Look(standing="waiting", scores=scores)
        costs = (training.seconds_per_step * self.max_steps,) * (self.num_objectives - 1)
        return Look(standing="finished", scores=scores, values=(scores[self.max_steps], *costs))

"""Trainings that only take simulated time: curves that rise towards a height the hyper-parameters decide."""

import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.search_loop import Look

Height = Callable[[Mapping[str, Any]], float]


def height(values: Mapping[str, Any]) -> float:
    """The best score a training reaches: lr of 1e-3 and a layer decay of 0.7 are the best."""
    return 60 - 8 * abs(math.log10(values["lr"]) + 3) - 20 * abs(values.get("layer_decay", 0.7) - 0.7)


@dataclass
class Training:
    values: Mapping[str, Any]
    seconds_per_step: float
    until: int
    reached: int
    since: float
    fails: bool = False


@dataclass
class SimulatedTrainings:
    """Trainings of `max_steps` steps under a clock that `tick` moves; `restart` forgets checkpoints, as rivals do."""

    max_steps: int
    rungs: tuple[int, ...]
    seed: int = 0
    height: Height = height
    num_objectives: int = 1
    now: float = 0.0
    trained: dict[str, Training] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    starts: list[tuple[str, int, int]] = field(default_factory=list)

    def start(self, number: int, *, values: Mapping[str, Any], until: int) -> str:
        name = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:12]
        if name not in self.trained:
            speed = random.Random(f"{self.seed}:{name}").lognormvariate(0.0, 0.5)
            self.trained[name] = Training(values, speed, until=until, reached=0, since=self.now)
            self.starts.append((name, 0, until))
        elif until > self.trained[name].until:
            training = self.trained[name]
            training.reached, training.until, training.since = training.until, until, self.now
            self.starts.append((name, training.reached, until))
        self.lost.discard(name)
        return name

    def look(self, names: Mapping[int, str]) -> Mapping[int, Look]:
        return {number: self._look(name) for number, name in names.items()}

    def ends(self) -> list[float]:
        """When the trainings that are under way reach where they may."""
        ends = [one.since + (one.until - one.reached) * one.seconds_per_step for one in self.trained.values()]
        return [end for end in ends if end > self.now]

    def tick(self) -> None:
        """Go on to the moment at which the next training stops."""
        self.now = min(self.ends(), default=self.now)

    def _look(self, name: str) -> Look:
        training = self.trained[name]
        if name in self.lost:
            return Look(standing="failed", message="its node caught fire")
        steps = training.reached + int((self.now - training.since) / training.seconds_per_step + 1e-6)
        reached = min(steps, training.until)
        best = self.height(training.values)
        scores = {rung: best * (1 - math.exp(-3 * rung / self.max_steps)) for rung in self.rungs if rung <= reached}
        if reached < training.until:
            return Look(standing="active", scores=scores)
        if reached < self.max_steps:
            return Look(standing="waiting", scores=scores)
        costs = (training.seconds_per_step * self.max_steps,) * (self.num_objectives - 1)
        return Look(standing="finished", scores=scores, values=(scores[self.max_steps], *costs))

"""Which weights of a training are reported: the last, or the best of those scored on the way."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from multimae.engine.failures import SettingsError
from multimae.record.files import write_atomically
from multimae.record.paths import CheckpointDir
from multimae.tables.metrics import METRICS

Selection = Literal["last", "validation", "test"]


class BestWeights:
    """The weights with the best `metric` so far; the earlier ones of two that are equal, never any that scored NaN.

    They are kept in memory and written into every checkpoint, so that a resumed training chooses as an uninterrupted
    one does whatever it had written since. `best.pth` is for others to read.
    """

    def __init__(self, *, metric: str) -> None:
        self.metric = METRICS[metric]
        self.value = math.nan
        self.step = 0
        self._weights: dict[str, Tensor] = {}
        self._step_on_disk = 0

    def offer(self, value: float, *, step: int, model: nn.Module) -> None:
        """Keep a copy of the model's weights after `step` iterations if its `value` is better."""
        if not math.isfinite(value) or not (self.step == 0 or self._is_better(value)):
            return
        self.value, self.step = value, step
        self._weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}

    def load_into(self, model: nn.Module) -> None:
        """Give the model the best weights; it keeps its own where no value was a number."""
        if self.step:
            model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return plain tensors and numbers."""
        return {"metric": self.metric.name, "value": self.value, "step": self.step, "model": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.value, self.step, self._weights = state["value"], state["step"], dict(state["model"])

    def save(self, folder: Path) -> None:
        """Write `best.pth`, whole or not at all, if there are best weights that this process has not written yet."""
        if self.step != self._step_on_disk:
            write_atomically(CheckpointDir(folder).best, lambda file: torch.save(self.state_dict(), file))
            self._step_on_disk = self.step

    def _is_better(self, value: float) -> bool:
        return value > self.value if self.metric.higher_is_better else value < self.value


def selection_of(job: Any) -> Selection:
    """Return how a job selects weights; raise where nothing is scored on the way to select them by."""
    selection: Selection = job.get("selection", "last")
    if selection not in get_args(Selection):
        raise SettingsError(f"selection is {selection!r}, wanted one of {get_args(Selection)}")
    if selection == "last":
        return selection
    if job.fit != "gradient descent":
        raise SettingsError(f"selection={selection!r} chooses among weights of a training, but the fit is {job.fit}")
    split = job.validation.split if job.validation else None
    if (split == "test") != (selection == "test") or split is None:
        raise SettingsError(
            f"selection={selection!r}, but the images scored during training are of the split {split!r}; hold some "
            "out (recipe.val_ratio), or use selection='last'"
        )
    return selection

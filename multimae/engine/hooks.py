"""What happens around a training step: the record of its progress, and the way to stop it in time."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from mmengine.hooks import Hook

from multimae.engine.distributed import unwrapped
from multimae.engine.failures import DivergedError
from multimae.engine.selection import BestWeights
from multimae.engine.signals import StopRequest
from multimae.record.spool import Spool

HEARTBEAT_SECONDS = 2.0


class StopHook(Hook):  # type: ignore[misc]
    """End the training loop in order once a stop was asked for: the checkpoint hook then saves."""

    priority = "LOWEST"

    def __init__(self, *, request: StopRequest) -> None:
        self.request = request

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if self._anybody_was_asked():
            runner.train_loop.stop_training = True

    def _anybody_was_asked(self) -> bool:
        """Ask all ranks, which a signal reaches between different steps."""
        if get_world_size() == 1:
            return self.request.received is not None
        asked = torch.tensor(float(self.request.received is not None), device=get_comm_device(None))
        all_reduce(asked, op="max")
        if asked and self.request.received is None:
            self.request.received = "another rank"
        return bool(asked)


class ValidationHook(Hook):  # type: ignore[misc]
    """Score the model every `interval` iterations and at `rungs`, on held-out images: curves to judge a training by.

    `score` returns a model's metrics on those of the `split`. What is reported comes from the test split, at the end,
    whatever these curves say; of which weights, `best` decides, if it is there.
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self,
        *,
        score: Callable[[Any], Mapping[str, float]],
        split: str,
        interval: int,
        spool: Spool,
        rungs: Collection[int] = (),
        best: BestWeights | None = None,
    ) -> None:
        self.score = score
        self.split = split
        self.interval = interval
        self.spool = spool
        self.rungs = frozenset(rungs)
        self.best = best

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        step = batch_idx + 1
        if step % self.interval and step not in self.rungs and step != runner.train_loop.max_iters:
            return
        model = unwrapped(runner.model)
        metrics = self.score(model)
        self.spool.metrics(step=step, values={f"{self.split}/{name}": value for name, value in metrics.items()})
        if self.best is not None:
            self.best.offer(metrics[self.best.metric.name], step=step, model=model)


class SpoolHook(Hook):  # type: ignore[misc]
    """Write losses every `interval` iterations, validation metrics as they come, and a heartbeat every two seconds.

    Losses are summed on the device and read, as the mean of all ranks, every `interval` iterations only, so a step
    never waits for the host. `batch_size`: the samples of an iteration on all ranks.
    """

    priority = "NORMAL"

    def __init__(self, *, spool: Spool, interval: int, batch_size: int) -> None:
        self.spool = spool
        self.interval = interval
        self.batch_size = batch_size
        self._sums: dict[str, torch.Tensor] = {}
        self._count = 0
        self._loss = math.nan
        self._rates: list[tuple[float, int]] = []
        self._last_heartbeat = -math.inf

    def before_train_epoch(self, runner: Any) -> None:
        self._rates = [(time.monotonic(), runner.train_loop.iter)]

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        step = batch_idx + 1
        for name, value in (outputs or {}).items():
            self._sums[name] = self._sums[name] + value.detach() if name in self._sums else value.detach().clone()
        self._count += 1
        if step % self.interval == 0 or step == runner.train_loop.max_iters:
            self._write_losses(runner, step=step)
        if time.monotonic() - self._last_heartbeat > HEARTBEAT_SECONDS:
            self._heartbeat(runner, step=step)

    def _write_losses(self, runner: Any, *, step: int) -> None:
        means = {name: value / self._count for name, value in _over_ranks(self._sums).items()}
        self._sums, self._count = {}, 0
        self._loss = means.get("loss", math.nan)
        values = {f"train/{name}": value for name, value in means.items()}
        values["train/lr"] = max(runner.optim_wrapper.get_lr()["lr"])
        self.spool.metrics(step=step, values=values)
        if not math.isfinite(self._loss):
            raise DivergedError(f"the training loss is {self._loss} at step {step}; lower recipe.lr or warm up longer")

    def _heartbeat(self, runner: Any, *, step: int) -> None:
        now = self._last_heartbeat = time.monotonic()
        self._rates = [*self._rates[-10:], (now, step)]
        (then, since), rate = self._rates[0], 0.0
        if now > then:
            rate = (step - since) / (now - then)
        remaining = runner.train_loop.max_iters - step
        self.spool.write(
            "progress",
            step=step,
            max_steps=runner.train_loop.max_iters,
            loss=self._loss,
            images_per_s=rate * self.batch_size,
            eta_s=remaining / rate if rate else None,
        )


def _over_ranks(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Average values over ranks, all of which ask, in one exchange."""
    if get_world_size() == 1:
        return {name: float(value) for name, value in values.items()}
    together = torch.stack([value.float() for value in values.values()]).to(get_comm_device(None))
    all_reduce(together, op="mean")
    return dict(zip(values, together.tolist(), strict=True))

"""One optimizer step: micro-batches, on one or several devices, that count like one batch."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import Tensor, nn

from multimae.averaging import AveragedModel, Batch
from multimae.engine.distributed import share_statistics, unwrapped
from multimae.engine.failures import SettingsError
from multimae.registry import LOOPS

LossAverage = Literal["step", "micro_batch"]
Weights = Mapping[str, Tensor | float]


class MicroBatches(_InfiniteDataloaderIterator):  # type: ignore[misc]  # mmengine is untyped
    """Give the batches of one optimizer step at a time, for ever."""

    def __init__(self, dataloader: Any, *, num: int) -> None:
        super().__init__(dataloader)
        self.num = num

    def __next__(self) -> list[Batch]:
        return [self._next_data() for _ in range(self.num)]

    def skip_iter(self, num_iters: int) -> None:
        """Move on by so many optimizer steps."""
        super().skip_iter(num_iters * self.num)


@LOOPS.register_module()
class StepLoop(IterBasedTrainLoop):  # type: ignore[misc]
    """Make every iteration one optimizer step of `num_micro_batches` batches of each device's loader.

    Schedules, checkpoints and rungs so count optimizer steps. `loss_average="step"` averages a loss over all that
    counts in a step; "micro_batch" averages every batch of every device by itself, and then these means.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        *,
        max_iters: int,
        num_micro_batches: int = 1,
        loss_average: LossAverage = "step",
    ) -> None:
        super().__init__(runner, dataloader, max_iters)
        self.dataloader_iterator = MicroBatches(self.dataloader, num=num_micro_batches)
        self.loss_average = loss_average

    def run_iter(self, data_batch: Sequence[Batch]) -> None:
        runner, step = self.runner, self._iter
        runner.call_hook("before_train_iter", batch_idx=step, data_batch=data_batch)
        if is_one_batch(len(data_batch), loss_average=self.loss_average):
            outputs = runner.model.train_step(data_batch[0], optim_wrapper=runner.optim_wrapper)
        else:
            outputs = take_step(
                runner.model, data_batch, optim_wrapper=runner.optim_wrapper, loss_average=self.loss_average
            )
        share_statistics(runner.model)
        runner.call_hook("after_train_iter", batch_idx=step, data_batch=data_batch, outputs=outputs)
        self._iter += 1


def is_one_batch(num_micro_batches: int, *, loss_average: LossAverage) -> bool:
    """Say whether a batch of a device has nothing to know of others: gradients of devices are averaged anyhow."""
    return num_micro_batches == 1 and (get_world_size() == 1 or loss_average == "micro_batch")


def take_step(
    model: nn.Module, batches: Sequence[Batch], *, optim_wrapper: OptimWrapper, loss_average: LossAverage
) -> dict[str, Tensor]:
    """Train on the micro-batches of one optimizer step; return what is logged, whose mean over devices is the step's.

    What a micro-batch counts is known before anything is predicted, so each is forgotten once it was trained on.
    """
    own = _averaged(model, loss_average=loss_average)
    further: dict[str, Any] = {}
    if loss_average == "step":
        batches = own.draw(batches)
        if own.has_threshold:
            further["largest"] = _largest_of_step(own, batches, optim_wrapper=optim_wrapper)
    logged: dict[str, Tensor] = {}
    all_weights = _weights(own, batches, loss_average=loss_average)
    for number, (batch, weights) in enumerate(zip(batches, all_weights, strict=True), start=1):
        with _gradients(model, are_final=number == len(batches)):
            with optim_wrapper.optim_context(model):
                losses = model(**own.data_preprocessor(batch, True), **further, mode="loss")
            total, values = own.parse_losses(losses, weights)
            optim_wrapper.backward(total)
        _add(values, to=logged)
    optim_wrapper.step()
    optim_wrapper.zero_grad()
    return logged


def _averaged(model: nn.Module, *, loss_average: LossAverage) -> AveragedModel:
    own = unwrapped(model)
    if not isinstance(own, AveragedModel):
        raise SettingsError(
            f"{type(own).__name__} does not say over what its losses are averaged, so {loss_average=} has no meaning "
            "on several devices or micro-batches; derive it from multimae.averaging.AveragedModel"
        )
    return own


def _weights(own: AveragedModel, batches: Sequence[Batch], *, loss_average: LossAverage) -> Iterator[Weights]:
    """Return what each micro-batch's means count, such that their sum, averaged over devices, is the step's mean."""
    if loss_average == "micro_batch":
        share = 1 / len(batches)
        return iter([defaultdict(lambda: share)] * len(batches))
    counts = [own.counts(batch) for batch in batches]
    # One exchange of a few numbers; one device alone need not wait for them.
    device = get_comm_device(None) if get_world_size() > 1 else _device(own)
    mine = torch.stack([torch.stack([of.to(device, torch.float32) for of in one.values()]) for one in counts])
    whole = mine.sum(dim=0)
    all_reduce(whole)
    # Class weights may add up to less than 1; where nothing counts, every share is 0 whatever it is divided by.
    shares = (mine * get_world_size() / whole.where(whole > 0, 1)).to(_device(own))
    return (dict(zip(counts[0], of_batch, strict=True)) for of_batch in shares.unbind())


def _largest_of_step(
    own: AveragedModel, batches: Sequence[Batch], *, optim_wrapper: OptimWrapper
) -> Callable[[Tensor], Tensor]:
    """Return what makes the largest error of the whole step of a batch's.

    With several micro-batches it must be known before the first is learnt from: all are looked at once without
    gradients, under the random numbers that they are trained under.
    """
    if len(batches) == 1:
        return _over_devices
    seen: list[Tensor] = []

    def look(largest: Tensor) -> Tensor:
        seen.append(largest)
        return largest

    devices = [torch.cuda.current_device()] if _device(own).type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices), optim_wrapper.optim_context(own):
        for batch in batches:
            own(**own.data_preprocessor(batch, True), largest=look, mode="loss")
    whole = _over_devices(torch.stack(seen).amax())
    return lambda _: whole


def _over_devices(largest: Tensor) -> Tensor:
    whole = largest.clone()
    all_reduce(whole, op="max")
    return whole


def _gradients(model: nn.Module, *, are_final: bool) -> AbstractContextManager[None]:
    """Let devices exchange gradients once a step, in its last backward pass."""
    apart: Callable[[], AbstractContextManager[None]] = getattr(model, "no_sync", nullcontext)
    return nullcontext() if are_final else apart()


def _add(values: Mapping[str, Tensor], *, to: dict[str, Tensor]) -> None:
    """Add up losses, which mmengine knows by their name, too; anything else is the same for a whole step."""
    for name, value in values.items():
        to[name] = to[name] + value.detach() if "loss" in name and name in to else value.detach()


def _device(own: nn.Module) -> torch.device:
    return next(own.parameters()).device

"""Everything a training needs to go on where it stopped: plain tensors and numbers, loaded with weights_only."""

import logging
import random
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook

from multimae.engine.distributed import of_all_ranks, unwrapped
from multimae.engine.selection import BestWeights
from multimae.record.attempt import Attempt
from multimae.record.files import write_atomically
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.spool import Spool

logger = logging.getLogger(__name__)


def random_state() -> dict[str, Any]:
    """Return the state of every random number generator a training draws from."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "python": [version, list(internal), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.pth`, keeping the one before as `previous.pth` in case the new one turns out torn."""
    folder.mkdir(parents=True, exist_ok=True)
    files = CheckpointDir(folder)
    write_atomically(files.fresh, lambda file: torch.save(state, file))
    if files.last.exists():
        files.last.replace(files.previous)
    files.fresh.replace(files.last)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint that can be read, None when there is none at all.

    A kill between the two renames of `save_checkpoint` leaves `next.pth`, which is whole: it is tried as well.
    """
    files = CheckpointDir(folder)
    for path in (files.last, files.fresh, files.previous):
        if not path.exists():
            continue
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            logger.warning("%s cannot be read (%s); trying the one before", path, error)
        else:
            return state
    return None


def is_weights_alone(state: dict[str, Any]) -> bool:
    """Say whether a checkpoint is of a finished training and holds nothing but its weights."""
    return "optimizer" not in state


def keep_of_finished(folder: Path, *, keep: Literal["weights", "all", "none"]) -> None:
    """Free what a finished run needs no more of its checkpoints; its weights may be scored again, or started from."""
    files = CheckpointDir(folder)
    if keep == "none":
        shutil.rmtree(folder, ignore_errors=True)
        return
    state = load_checkpoint(folder) if keep == "weights" else None
    if state is not None and not is_weights_alone(state):
        weights = {name: state[name] for name in ("step", "model", "best") if name in state}
        write_atomically(files.last, lambda file: torch.save(weights, file))
    for path in (files.previous, files.fresh):
        path.unlink(missing_ok=True)


class CheckpointHook(Hook):  # type: ignore[misc]  # mmengine is untyped
    """Resume before training, save every `interval` iterations and after the last; `best`, if it is there, as well."""

    priority = "VERY_LOW"

    def __init__(self, *, attempt: Attempt, spool: Spool, interval: int, best: BestWeights | None = None) -> None:
        self.attempt = attempt
        self.spool = spool
        self.interval = interval
        self.best = best
        self.folder = RunDir(attempt.run_dir).checkpoints

    def before_train(self, runner: Any) -> None:
        """Restore model, optimizer, schedules, step and random state, if there is a checkpoint."""
        state = load_checkpoint(self.folder)
        if state is None:
            return
        unwrapped(runner.model).load_state_dict(state["model"])
        if self.best is not None:
            self.best.load_state_dict(state["best"])
        runner.optim_wrapper.load_state_dict(state["optimizer"])
        for scheduler, saved in zip(runner.param_schedulers, state["param_schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        loop = runner.train_loop
        loop._iter = state["step"]
        # The sampler is moved on and the loader's iterator made here rather than by the loop: making it draws a random
        # number, which must not come after the random state is restored.
        loop.fast_forward_on_resume = True
        loop.dataloader_iterator.skip_iter(state["step"])
        loop.dataloader_iterator._ensure_iterator()
        runner.optim_wrapper.initialize_count_status(runner.model, state["step"], runner.train_loop.max_iters)
        # With another number of ranks than before, the training goes on, but not as it would have.
        set_random_state(state["random"][get_rank() % len(state["random"])])

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        step = batch_idx + 1
        if step % self.interval == 0 and step < runner.train_loop.max_iters:
            self.save(runner, step=step)

    def after_train(self, runner: Any) -> None:
        self.save(runner, step=runner.train_loop.iter)

    def save(self, runner: Any, *, step: int) -> None:
        """Save the state after `step` iterations, unless a newer attempt owns the run."""
        random_states = of_all_ranks(random_state())
        if not is_main_process():
            return
        self.attempt.require_lease()
        state = {
            "step": step,
            "model": unwrapped(runner.model).state_dict(),
            "optimizer": runner.optim_wrapper.state_dict(),
            "param_schedulers": [_plain(scheduler.state_dict()) for scheduler in runner.param_schedulers],
            "random": random_states,
            **({} if self.best is None else {"best": self.best.state_dict()}),
        }
        self.spool.sync()
        save_checkpoint(self.folder, state)
        if self.best is not None:
            self.best.save(self.folder)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if isinstance(value, (int, float, str, bool, list, type(None)))}

"""Steps at which a training stops unless it may go on: what a search decides, and how a job is told.

The driver of a search writes `until.json` into a run's directory; the job reads it at every rung. A job that has come
as far as it may saves its state and ends as `paused`; started again with a larger `until`, it goes on from there.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from multimae.engine.failures import PausedError
from multimae.record.rungs import read_until


class RungHook(Hook):  # type: ignore[misc]  # mmengine is untyped
    """End the training loop in order at a rung beyond which it may not go; the checkpoint hook then saves."""

    priority = "LOWEST"

    def __init__(self, *, run_dir: Path, rungs: Collection[int]) -> None:
        self.run_dir = run_dir
        self.rungs = frozenset(rungs)
        self.paused_at: int | None = None

    def before_training(self, *, step: int) -> None:
        """Raise PausedError if a training that goes on from `step` has nothing left that it may do."""
        if step in self.rungs and not self._may_go_on(step):
            raise PausedError(step)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        step = batch_idx + 1
        if step in self.rungs and not self._may_go_on(step):
            self.paused_at = step
            runner.train_loop.stop_training = True

    def after_training(self) -> None:
        """Raise PausedError if the loop was ended at a rung."""
        if self.paused_at is not None:
            raise PausedError(self.paused_at)

    def _may_go_on(self, step: int) -> bool:
        """Ask on rank 0 and tell the others, who may see another state of a shared file system."""
        answer = [read_until(self.run_dir) if is_main_process() else None]
        broadcast_object_list(answer)
        return answer[0] is None or answer[0] > step

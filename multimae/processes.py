"""Spread work over processes that end with the one that started them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
QUEUED_PER_WORKER = 2

_work: Callable[[Any], Any] | None = None


class WorkerLostError(Exception):
    """Report that a worker process has ended without an answer."""


def num_cores() -> int:
    """Count the cores that this process may use, which a scheduler may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(batches: Sequence[In], *, work: Callable[[In], Out], workers: int) -> Iterator[Out]:
    """Yield what `work` makes of each batch, in the order in which they are done; one worker is this process.

    `work` is sent to every worker once, so it may hold what all batches share. What it raises is raised here.
    """
    workers = min(workers, len(batches))
    if workers <= 1:
        yield from map(work, batches)
        return
    try:
        yield from _Pool(work=work, workers=workers).results(batches)
    except BrokenProcessPool as error:
        raise WorkerLostError(
            "a worker was killed, perhaps for memory; run the same command again with fewer --workers"
        ) from error


class _Pool(Generic[In, Out]):
    def __init__(self, *, work: Callable[[In], Out], workers: int) -> None:
        self._queued = QUEUED_PER_WORKER * workers
        self._executor = ProcessPoolExecutor(
            max_workers=workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(work,)
        )

    def results(self, batches: Sequence[In]) -> Iterator[Out]:
        waiting = iter(batches)
        running: set[Future[Out]] = set()
        try:
            while True:
                for batch in waiting:
                    running.add(self._executor.submit(_do, batch))
                    if len(running) >= self._queued:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            self._executor.shutdown(cancel_futures=True)


def _start_worker(work: Callable[[Any], Any]) -> None:
    """Keep what this worker does; Ctrl-C is the parent's to handle, workers finish the batch at hand."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _do(batch: Any) -> Any:
    assert _work is not None
    return _work(batch)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Render the rooms data set: `multimae data prepare rooms --train 2000 --size 320x240`.

A frame depends on the seed, its split, its index, the size and the samples a pixel; not on the number of processes.
Taskonomy's domains and labels in COCO's words are computed from the frames once they are there, however old they are.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

from multimae.processes import num_cores, spread
from multimae.rooms.store import VIEWS_PER_ROOM, finished, write_classes, write_frame, write_labels

DEFAULT_TRAIN, DEFAULT_TEST, DEFAULT_SIZE, DEFAULT_SAMPLES = 240, 80, "160x120", 8
SMALLEST, LARGEST = 32, 2048
BYTES_PER_PIXEL = 10
EXIT_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130
Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Name the frames of one room that are still to be rendered, and how."""

    out: Path
    seed: int
    split: Split
    room: int
    views: tuple[int, ...]
    width: int
    height: int
    samples: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare rooms`."""
    parser.description = "Render indoor scenes with exact depth, normals and labels; needs multimae[rooms]."
    parser.add_argument("--train", type=int, default=DEFAULT_TRAIN, help="training frames (default %(default)s)")
    parser.add_argument("--test", type=int, default=DEFAULT_TEST, help="test frames (default %(default)s)")
    parser.add_argument("--size", default=DEFAULT_SIZE, help="WIDTHxHEIGHT in pixels (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("rooms"), help="folder to write (default ./%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other rooms (default %(default)s)")
    parser.add_argument("--workers", type=int, default=num_cores(), help="processes (default: all cores)")
    parser.add_argument("--spp", type=int, default=DEFAULT_SAMPLES, help="samples a pixel (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Render what is not there yet; return the exit status."""
    try:
        tasks = _plan(args)
        write_classes(args.out, seed=args.seed, size=args.size, samples=args.spp)
    except ValueError as error:
        return _refuse(error, status=EXIT_USAGE)
    except (ModuleNotFoundError, OSError) as error:
        return _refuse(error, status=EXIT_ENVIRONMENT)
    missing = sum(len(task.views) for task in tasks)
    print(f"rooms: {args.train + args.test - missing} frames are there, {missing} to render into {args.out}")
    try:
        with _progress(missing) as advance:
            for done in _rendered(tasks, workers=args.workers):
                advance(done)
        for split in ("train", "test"):
            write_labels(args.out, split=split)
        _add_computed(args.out, workers=args.workers)
    except BrokenProcessPool:
        return _refuse("a worker was killed, perhaps for memory; run again with fewer --workers", status=EXIT_FAILED)
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on from here", status=EXIT_INTERRUPTED)
    return 0


def render(task: Task) -> int:
    """Render and write the frames of one task in this process; return how many."""
    from multimae.rooms.render.frames import render_room

    frames = render_room(
        seed=task.seed,
        split=task.split,
        room=task.room,
        views=task.views,
        width=task.width,
        height=task.height,
        samples=task.samples,
    )
    for view, frame in frames.items():
        write_frame(frame, out=task.out, split=task.split, index=task.room * VIEWS_PER_ROOM + view)
    return len(frames)


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ValueError(f"--size is {text!r}; wanted WIDTHxHEIGHT such as 320x240")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < SMALLEST or max(width, height) > LARGEST or not 0.5 <= width / height <= 3:
        raise ValueError(
            f"--size is {text}; wanted sides from {SMALLEST} to {LARGEST} pixels, at most three times as wide as high "
            "and at most twice as high as wide"
        )
    return width, height


def _refuse(reason: object, *, status: int) -> int:
    print(f"multimae data prepare rooms: {reason}", file=sys.stderr)
    return status


def _plan(args: argparse.Namespace) -> list[Task]:
    """Check the options and the disk, then list what is missing, room by room."""
    width, height = parse_size(args.size)
    for name, least in (("train", 0), ("test", 0), ("seed", 0), ("workers", 1), ("spp", 1)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name} is {getattr(args, name)}; wanted at least {least}")
    if find_spec("mitsuba") is None:
        raise ModuleNotFoundError("rendering needs Mitsuba 3, which is not installed; run: pip install multimae[rooms]")
    tasks = []
    for split, count in (("train", args.train), ("test", args.test)):
        for first in range(0, count, VIEWS_PER_ROOM):
            indices = range(first, min(first + VIEWS_PER_ROOM, count))
            views = tuple(index - first for index in indices if not finished(args.out, split=split, index=index))
            if views:
                tasks.append(
                    Task(
                        out=args.out,
                        seed=args.seed,
                        split="train" if split == "train" else "test",
                        room=first // VIEWS_PER_ROOM,
                        views=views,
                        width=width,
                        height=height,
                        samples=args.spp,
                    )
                )
    _check_disk(args.out, needed=sum(len(task.views) for task in tasks) * width * height * BYTES_PER_PIXEL)
    return tasks


def _check_disk(out: Path, *, needed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            f"{out} has {free / 2**30:.1f} GiB free, these frames need about {needed / 2**30:.1f} GiB; "
            "choose another --out, fewer frames or a smaller --size"
        )


def _rendered(tasks: Sequence[Task], *, workers: int) -> Iterator[int]:
    """Render tasks in processes of their own, a bounded number queued at a time, and yield the frames of each."""
    workers = min(workers, len(tasks))
    if workers == 0:
        return
    waiting = iter(tasks)
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn"), initializer=_start_worker) as pool:
        running: set[Future[int]] = set()
        try:
            while True:
                for task in waiting:
                    running.add(pool.submit(render, task))
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _add_computed(out: Path, *, workers: int) -> None:
    from multimae.rooms.computed import lacking, write_computed

    places = [place for split in ("train", "test") for place in lacking(out, split=split)]
    if not places:
        return
    print(f"rooms: {len(places)} frames to compute domains and labels of")
    with _progress(len(places)) as advance:
        for _ in spread(places, work=write_computed, workers=workers):
            advance(1)


def _start_worker() -> None:
    """Keep a worker to one core, as there are many, and let it end with the process that started it.

    Ctrl-C is the parent's to handle: workers finish the room at hand.
    """
    import drjit

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    drjit.set_thread_count(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; elsewhere print a line for each tenth."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    console = Console()
    if console.is_terminal:
        columns = ("rendering", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("frames", total=total)
            yield lambda done: bar.advance(task, done)
        return
    finished_frames = 0

    def tell(done: int) -> None:
        nonlocal finished_frames
        tenths = (finished_frames * 10 // total, (finished_frames + done) * 10 // total)
        finished_frames += done
        if tenths[0] != tenths[1]:
            print(f"rooms: {finished_frames} of {total} frames", flush=True)

    yield tell

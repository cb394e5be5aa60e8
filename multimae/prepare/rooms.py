"""Render the rooms data set: `multimae data prepare rooms --train 2000 --size 320x240`.

A frame depends on the seed, its split, its index, the size and the samples a pixel; not on the number of processes.
Taskonomy's domains and labels in COCO's classes are then computed for every frame that lacks them, old or new.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from multimae.processes import WorkerLostError, num_cores, spread
from multimae.record.text import tell
from multimae.rooms.computed import lacking, write_computed
from multimae.rooms.frame_files import VIEWS_PER_ROOM, FrameFiles
from multimae.rooms.render.renderer import render_room
from multimae.rooms.render.writing import write_classes, write_frame, write_labels

DEFAULT_TRAIN, DEFAULT_TEST, DEFAULT_SIZE, DEFAULT_SAMPLES = 240, 80, "160x120", 8
SMALLEST, LARGEST = 32, 2048
BYTES_PER_PIXEL = 10
EXIT_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED = 1, 2, 3, 130
Split = Literal["train", "test"]


@dataclass(frozen=True, kw_only=True)
class RoomToRender:
    """Name the views of one room that are still to be rendered, and how."""

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
        rooms = _plan(args)
        write_classes(args.out, seed=args.seed, size=args.size, samples=args.spp)
    except ValueError as error:
        return _refuse(error, status=EXIT_USAGE)
    except (ModuleNotFoundError, OSError) as error:
        return _refuse(error, status=EXIT_ENVIRONMENT)
    missing = sum(len(room.views) for room in rooms)
    tell(f"rooms: {args.train + args.test - missing} frames are there, {missing} to render into {args.out}")
    try:
        with _progress(missing) as advance:
            for done in spread(rooms, work=render, workers=args.workers):
                advance(done)
        for split in ("train", "test"):
            write_labels(args.out, split=split)
        _add_computed(args.out, workers=args.workers)
    except WorkerLostError as error:
        return _refuse(error, status=EXIT_FAILED)
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on from here", status=EXIT_INTERRUPTED)
    return 0


def render(room: RoomToRender) -> int:
    """Render and write the frames of one room in this process, on one core; return how many."""
    import drjit

    # There is a process for every core already.
    drjit.set_thread_count(1)
    frames = render_room(
        seed=room.seed,
        split=room.split,
        room=room.room,
        views=room.views,
        width=room.width,
        height=room.height,
        samples=room.samples,
    )
    for view, frame in frames.items():
        files = FrameFiles(out=room.out, split=room.split, index=room.room * VIEWS_PER_ROOM + view)
        write_frame(frame, files=files)
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
    tell(f"multimae data prepare rooms: {reason}", stream="err")
    return status


def _plan(args: argparse.Namespace) -> list[RoomToRender]:
    """Check the options and the disk, then list what is missing, room by room."""
    width, height = parse_size(args.size)
    for name, least in (("train", 0), ("test", 0), ("seed", 0), ("workers", 1), ("spp", 1)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name} is {getattr(args, name)}; wanted at least {least}")
    if find_spec("mitsuba") is None:
        raise ModuleNotFoundError("rendering needs Mitsuba 3, which is not installed; run: pip install multimae[rooms]")
    rooms = []
    for split, count in (("train", args.train), ("test", args.test)):
        for first in range(0, count, VIEWS_PER_ROOM):
            frames = [
                FrameFiles(out=args.out, split=split, index=index)
                for index in range(first, min(first + VIEWS_PER_ROOM, count))
            ]
            if views := tuple(files.index - first for files in frames if not files.rendered):
                rooms.append(
                    RoomToRender(
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
    _check_disk(args.out, needed=sum(len(room.views) for room in rooms) * width * height * BYTES_PER_PIXEL)
    return rooms


def _check_disk(out: Path, *, needed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            f"{out} has {free / 2**30:.1f} GiB free, these frames need about {needed / 2**30:.1f} GiB; "
            "choose another --out, fewer frames or a smaller --size"
        )


def _add_computed(out: Path, *, workers: int) -> None:
    frames = [files for split in ("train", "test") for files in lacking(out, split=split)]
    if not frames:
        return
    tell(f"rooms: {len(frames)} frames to compute domains and labels of")
    with _progress(len(frames)) as advance:
        for _ in spread(frames, work=write_computed, workers=workers):
            advance(1)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; elsewhere print a line for each tenth."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    from multimae.console import label, plain_console

    screen = plain_console()
    if screen.is_terminal:
        columns = (label("rendering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=screen) as bar:
            task = bar.add_task("frames", total=total)
            yield lambda done: bar.advance(task, done)
        return
    finished_frames = 0

    def count(done: int) -> None:
        nonlocal finished_frames
        tenths = (finished_frames * 10 // total, (finished_frames + done) * 10 // total)
        finished_frames += done
        if tenths[0] != tenths[1]:
            tell(f"rooms: {finished_frames} of {total} frames")
            sys.stdout.flush()

    yield count

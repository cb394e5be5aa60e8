"""`multimae weights`: list and download the published checkpoints, export any; a sub-parser with its `run` per verb."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from multimae.cache import cache_dir
from multimae.checkpoints.catalogue import (
    CATALOGUE,
    PublishedCheckpoint,
    UnknownCheckpointError,
    address,
    cached_path,
    fetch,
    published,
)
from multimae.checkpoints.download import DownloadError, DownloadListener
from multimae.checkpoints.reading import split_words
from multimae.door import explained
from multimae.record.text import tell

INTERRUPTED = 130


@explained("multimae weights")
def main(argv: list[str] | None = None) -> int:
    """Run `multimae weights VERB ...` and return its exit code: 2 for an unknown name, 3 for one that cannot be had."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except UnknownCheckpointError as error:
        return _failed(str(error), code=2)
    except DownloadError as error:
        return _failed(str(error), code=3)
    except KeyboardInterrupt:
        return _failed("stopped; the same command goes on from here", code=INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="multimae weights", description="The published checkpoints.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("ls", help="list what is published and what is in the cache")
    listing.add_argument("--json", action="store_true", help="the list as JSON")
    listing.set_defaults(run=_list)
    getting = verbs.add_parser("get", help="download one, verify it and print its path")
    getting.add_argument("name", metavar="NAME", help="one that `multimae weights ls` lists")
    getting.add_argument("--to", type=Path, metavar="DIR", help="put it into this folder instead of the cache")
    getting.set_defaults(run=_get)
    exporting = verbs.add_parser("export", help="write a checkpoint's weights in another layout or container")
    exporting.add_argument(
        "source",
        metavar="SOURCE",
        help="ours, MultiMAE's, MAE's or timm's; SOURCE#ema or #model chooses",
    )
    exporting.add_argument("target", type=Path, metavar="TARGET", help="a name that ends in .pth or .safetensors")
    exporting.add_argument("--layout", choices=("multimae", "reference", "timm"), default="multimae")
    exporting.add_argument("--task", metavar="NAME", help="what the reference's layout calls a transfer's head")
    exporting.set_defaults(run=_export)
    return parser


def _failed(words: str, *, code: int) -> int:
    tell(f"multimae weights: {words}", stream="err")
    return code


def _list(arguments: argparse.Namespace) -> int:
    cache = cache_dir()
    if arguments.json:
        print(json.dumps([_as_json(checkpoint, cache=cache) for checkpoint in CATALOGUE.values()], indent=1))
    else:
        _print_table(cache)
    return 0


def _as_json(checkpoint: PublishedCheckpoint, *, cache: Path) -> dict[str, Any]:
    path = cached_path(checkpoint, cache=cache)
    return {
        "name": checkpoint.name,
        "title": checkpoint.title,
        "format": checkpoint.format,
        "modalities": list(checkpoint.modalities),
        "epochs": checkpoint.epochs,
        "licence": checkpoint.licence,
        "source": checkpoint.source,
        "url": address(checkpoint),
        "sha256_prefix": checkpoint.sha256_prefix,
        "num_bytes": checkpoint.num_bytes,
        "path": str(path),
        "cached": path.is_file(),
    }


def _print_table(cache: Path) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    from multimae.console import plain_console

    table = Table(caption=f"cache: {cache.resolve() / 'checkpoints'}", caption_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    table.add_column("licence", no_wrap=True)
    table.add_column("size", no_wrap=True, justify="right")
    table.add_column("cached", no_wrap=True)
    for checkpoint in CATALOGUE.values():
        table.add_row(
            checkpoint.name,
            f"{checkpoint.title}; {'+'.join(checkpoint.modalities)}, {checkpoint.epochs} epochs",
            checkpoint.licence,
            decimal(checkpoint.num_bytes) if checkpoint.num_bytes else "unknown",
            "yes" if cached_path(checkpoint, cache=cache).is_file() else "no",
        )
    plain_console().print(table)


def _get(arguments: argparse.Namespace) -> int:
    checkpoint = published(arguments.name)
    with _shown(checkpoint) as report:
        report.say(f"{checkpoint.file} is {checkpoint.licence} (non-commercial), from {checkpoint.source}")
        path = fetch(checkpoint, cache=cache_dir(), to=arguments.to, report=report)
    tell(path)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from multimae.checkpoints.loading import export_checkpoint

    try:
        source, reading = split_words(arguments.source)
        left_out = export_checkpoint(
            source,
            arguments.target,
            layout=arguments.layout,
            task=arguments.task,
            weights=reading.weights,
            pixels=reading.pixels,
            say=partial(tell, stream="err"),
        )
    except ValueError as error:
        return _failed(str(error), code=2)
    except OSError as error:
        return _failed(f"{error.filename or arguments.target}: {error.strerror}", code=3)
    if left_out:
        tell(f"left out {len(left_out)} parameters that {arguments.layout} has no place for", stream="err")
    tell(arguments.target)
    return 0


@contextmanager
def _shown(checkpoint: PublishedCheckpoint) -> Iterator[DownloadListener]:
    """Tell on stderr what a download does: lines, and a bar where that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from multimae.console import label, plain_console

    shown = plain_console("err")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(label(checkpoint.name), *columns, console=shown, disable=not shown.is_terminal) as bar:
        task = bar.add_task(checkpoint.name, total=checkpoint.num_bytes, visible=False)
        yield DownloadListener(
            say=lambda line: shown.print(line, soft_wrap=True),
            progress=lambda held, total: bar.update(task, completed=held, total=total, visible=True),
        )

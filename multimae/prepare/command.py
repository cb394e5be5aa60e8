"""What all `multimae data prepare NAME` have in common: options, a bar, what is told, the exit code."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from multimae.options import whole
from multimae.prepare.conversion import Converted, Originals, prepare
from multimae.processes import num_cores
from multimae.record.text import tell

DONE, ENVIRONMENT, INTERRUPTED = 0, 3, 130
MOST_NAMED = 20


def add_options(parser: argparse.ArgumentParser, *, name: str, published: str) -> None:
    """Add `--from`, `--out` and `--workers`; `published` says what `--from` holds."""
    parser.add_argument("--from", dest="published", type=Path, required=True, metavar="DIR", help=published)
    parser.add_argument("--out", type=Path, default=Path(name), metavar="DIR", help="default ./%(default)s")
    parser.add_argument("--workers", type=whole(1), default=num_cores(), help="processes (default: all cores)")


def convert(source: Originals, *, name: str, arguments: argparse.Namespace) -> int:
    """Prepare a data set, tell what was done and return the exit code: 3 where files were damaged."""
    out: Path = arguments.out
    try:
        with _bar() as progress:
            report = prepare(source, out=out, workers=arguments.workers, progress=progress)
    except KeyboardInterrupt:
        tell(f"{name}: interrupted; what is converted stays in {out}, the same command goes on from there")
        return INTERRUPTED
    for line in told(report, name=name, out=out):
        tell(line)
    return ENVIRONMENT if report.damaged else DONE


def told(report: Converted, *, name: str, out: Path) -> Iterator[str]:
    """Yield the lines that say what a preparation has done."""
    if report.converted == 0 and not report.damaged:
        yield f"{name}: nothing to do, all {report.total} items are in {out}"
    else:
        yield f"{name}: {report.converted} items converted into {out}, {report.kept} were there"
    yield from (f"{name}: left out {count}: {reason}" for reason, count in report.left_out.items())
    if report.damaged:
        yield f"{name}: {len(report.damaged)} of {report.total} items are damaged; restore their files and run again"
        yield from _named(report.damaged)


def _named(damaged: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(damaged)[:MOST_NAMED]:
        yield f"  {name}: {damaged[name]}"
    if len(damaged) > MOST_NAMED:
        yield f"  ... and {len(damaged) - MOST_NAMED} more, all in the head of the manifest"


@contextmanager
def _bar() -> Iterator[Callable[[int, int], object]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    from multimae.console import label, plain_console

    screen = plain_console("err")
    columns = (label("converting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        shown = bar.add_task("items", total=None)
        yield lambda done, total: bar.update(shown, completed=done, total=total)

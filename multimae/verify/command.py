"""Check a data set: what is missing, damaged, in other codes, or in two splits."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multimae.cache import cache_dir
from multimae.data.dataset import OpenedDataset
from multimae.data.manifest import NAME
from multimae.data.open import find_dataset, open_dataset
from multimae.data.sample import DataNotFoundError
from multimae.data.spec import DatasetSpec, spec
from multimae.options import whole
from multimae.own_files import load_file
from multimae.processes import num_cores
from multimae.record.text import tell
from multimae.rooms.archive import unpack
from multimae.verify.check import Effort, verify
from multimae.verify.findings import FAULTS, Finding, Group, Progress, Verification, grouped

CLEAN, DATA, INTERRUPTED = 0, 3, 130
MOST_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data verify`."""
    known = "a data set's name, or a .py file with SPEC = DatasetSpec(...)"
    parser.add_argument("described", type=_described, metavar="NAME", help=known)
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="as in a sweep (default: the embedded rooms)")
    parser.add_argument("--sample", type=whole(1), default=100, metavar="N", help="decode N samples a split (100)")
    parser.add_argument("--decode-all", action="store_true", help="decode every file")
    parser.add_argument("--hashes", action="store_true", help="compare every file with the hash that was recorded")
    parser.add_argument("--workers", type=whole(1), default=num_cores(), help="processes (default: all cores)")
    parser.add_argument("--json", action="store_true", help="counts and all findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Check, tell what was found and return the exit code: 3 where there are errors."""
    effort = Effort(sample=None if args.decode_all else args.sample, hashes=args.hashes, workers=args.workers)
    try:
        with _bar() as progress:
            found = verify(_opened(args), effort=effort, progress=progress)
    except KeyboardInterrupt:
        tell("interrupted; nothing was changed", stream="err")
        return INTERRUPTED
    if args.json:
        print(json.dumps(_as_json(found), indent=1))
    else:
        _print(found, effort=effort)
    return DATA if found.num("error") else CLEAN


def _described(name: str) -> DatasetSpec:
    try:
        return _spec_of_file(Path(name)) if name.endswith(".py") else spec(name)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _spec_of_file(path: Path) -> DatasetSpec:
    found = getattr(load_file(path, kind="dataset"), "SPEC", None)
    if not isinstance(found, DatasetSpec):
        raise ValueError(f"{path} has a SPEC of type {type(found).__name__}, wanted SPEC = DatasetSpec(...)")
    return found


def _opened(args: argparse.Namespace) -> OpenedDataset:
    described: DatasetSpec = args.described
    if args.data_root is not None:
        return find_dataset(args.data_root, described)
    if described.name == "rooms":
        return open_dataset(unpack(cache_dir()), described)
    raise DataNotFoundError(f"pass the folder that holds {described.name} as --data-root DIR\n{described.how_to_get}")


def _print(found: Verification, *, effort: Effort) -> None:
    """Print a table of what is there, then what is wrong with it, then the sum."""
    _print_counts(found)
    if effort.hashes and not found.hashed:
        tell(f"no hashes were compared: there is no {NAME} in {found.root}")
    for group, findings in grouped(found.findings).items():
        for line in told(group, findings):
            tell(line)
    if effort.sample is not None:
        tell(f"decoded: at most {effort.sample} samples a split, spread over the names; all with --decode-all")
    errors, warnings = found.num("error"), found.num("warning")
    tell(f"{found.dataset} in {found.root}: {errors} errors, {warnings} warnings")


def told(group: Group, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines on the findings of one kind, split and modality."""
    kind, *places = group
    severity, title, remedy = FAULTS[kind].severity, FAULTS[kind].title, FAULTS[kind].remedy
    where = "/".join(place for place in places if place)
    count = str(len(findings)) if any(finding.name for finding in findings) else ""
    yield f"{severity}: {title}: {' in '.join(part for part in (count, where) if part)}; {remedy}"
    for finding in findings[:MOST_NAMED]:
        if said := ": ".join(part for part in (finding.name, finding.detail) if part):
            yield f"  {said}"
    if len(findings) > MOST_NAMED:
        yield f"  ... and {len(findings) - MOST_NAMED} more (all with --json)"


def _print_counts(found: Verification) -> None:
    from rich.table import Table

    from multimae.console import plain_console

    table = Table()
    table.add_column("split", no_wrap=True)
    table.add_column("modality", no_wrap=True)
    for name in ("files", "missing", "decoded", "errors", "warnings"):
        table.add_column(name, no_wrap=True, justify="right")
    for count in found.counts:
        here = [entry for entry in found.findings if (entry.split, entry.modality) == (count.split, count.modality)]
        numbers = [count.files, count.missing, count.decoded]
        numbers += [sum(entry.severity == severity for entry in here) for severity in ("error", "warning")]
        table.add_row(count.split, count.modality, *map(str, numbers))
    plain_console().print(table)


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        "dataset": found.dataset,
        "root": str(found.root),
        "num_errors": found.num("error"),
        "num_warnings": found.num("warning"),
        "hashed": found.hashed,
        "counts": [asdict(count) for count in found.counts],
        "findings": [{"severity": entry.severity, **asdict(entry)} for entry in found.findings],
    }


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show on stderr how far a check is, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    from multimae.console import description, plain_console

    console = plain_console("err")
    columns = (description(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProgressBar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        shown = bar.add_task("listing", total=None)
        show: Callable[[str, int, int], object] = lambda what, done, total: bar.update(  # noqa: E731
            shown, description=what, completed=done, total=total
        )
        yield show

"""`multimae gc`: free what the runs folder holds and nothing needs; says first what that would be."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.plan.errors import PreconditionError, UsageError, unknown
from experiments.plan.folders import require_runs_dir
from experiments.plan.freeing import Freed, unneeded
from multimae.door import enter, explained
from multimae.record.locks import FileLock
from multimae.record.paths import SuiteDir, suites_in
from multimae.record.text import tell


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="multimae gc",
        description="Free what nothing needs: optimizer states of finished runs, checkpoints of runs in no plan, "
        "copies of the code. Results, records and the weights of planned runs stay.",
        allow_abbrev=False,
    )
    made.add_argument("--suite", action="append", metavar="NAME", help="default: every suite of the runs folder")
    made.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    made.add_argument("--yes", action="store_true", help="free it; without this, it is only listed")
    made.add_argument("--json", action="store_true", help="as JSON, every path")
    return made


@explained("multimae gc")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        known = suites_in(require_runs_dir(arguments.runs_dir))
        if missing := [name for name in arguments.suite or () if name not in known]:
            raise unknown("suite", missing[0], known)
        suites = arguments.suite or known
        found = {name: _of_suite(arguments.runs_dir / name, free=arguments.yes) for name in suites}
    except (UsageError, PreconditionError) as error:
        tell(f"multimae gc: {error}", stream="err")
        return error.exit_code
    if arguments.json:
        print(json.dumps({name: [_plain(one) for one in some or ()] for name, some in found.items()}, indent=1))
    else:
        _print(found, arguments=arguments)
    return 0


def _of_suite(suite_dir: Path, *, free: bool) -> list[Freed] | None:
    """List what is not needed, and free it if asked to; None where a driver is at work."""
    with FileLock(SuiteDir(suite_dir).lock) as lock:
        if not lock.try_take():
            return None
        found = list(unneeded(suite_dir))
        for one in found if free else ():
            one.free()
    return found


def _print(found: dict[str, list[Freed] | None], *, arguments: argparse.Namespace) -> None:
    from experiments.plan.show import size_text

    for name, some in found.items():
        if some is None:
            tell(f"{name}: left alone, a driver is at work there")
            continue
        for sort in dict.fromkeys(one.sort for one in some):
            alike = [one for one in some if one.sort == sort]
            tell(f"{name}: {len(alike)} {sort}, {size_text(sum(one.num_bytes for one in alike))}")
    total = sum(one.num_bytes for some in found.values() for one in some or ())
    tell(f"freed {size_text(total)}" if arguments.yes else f"{size_text(total)} can be freed; --yes frees it")


def _plain(one: Freed) -> dict[str, object]:
    return {"sort": one.sort, "path": str(one.path), "bytes": one.num_bytes}


if __name__ == "__main__":
    sys.exit(enter(main, name="multimae gc"))

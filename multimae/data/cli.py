"""`multimae data`: make data sets. Each `multimae.data.prepare.<name>` brings its own options."""

import argparse
import sys
from importlib import import_module
from typing import Protocol, cast

from multimae.data.sample import DataError

PREPARED = ("rooms",)


class Preparation(Protocol):
    """What a module of `multimae.data.prepare` offers."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the data set's own options."""

    def run(self, args: argparse.Namespace) -> int:
        """Prepare the data and return the exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run `multimae data prepare NAME ...` and return its exit code: 3 where the machine or the data is at fault."""
    parser = argparse.ArgumentParser(prog="multimae data", description="Make data sets.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    prepare = verbs.add_parser("prepare", help="write a data set in the layout the suites read")
    names = prepare.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in PREPARED:
        preparation = _preparation(name)
        preparation.add_arguments(names.add_parser(name, help=(preparation.__doc__ or "").splitlines()[0]))
    arguments = parser.parse_args(argv)
    try:
        return _preparation(arguments.name).run(arguments)
    except DataError as error:
        print(f"multimae data: {error}", file=sys.stderr)
        return 3


def _preparation(name: str) -> Preparation:
    return cast(Preparation, import_module(f"multimae.data.prepare.{name}"))

"""`multimae data`: make data sets, and labels for them. What is made brings its own options."""

import argparse
import sys
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from multimae.data.sample import DataError

PREPARED = ("rooms",)
PSEUDO_LABEL = "multimae.pseudo_labels.cli"


@runtime_checkable
class Preparation(Protocol):
    """What a module of `multimae.data.prepare`, or the one that makes pseudo labels, offers."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the data set's own options."""

    def run(self, args: argparse.Namespace) -> int:
        """Prepare the data and return the exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run `multimae data VERB ...` and return its exit code: 3 where the machine or the data is at fault."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="multimae data", description="Make data sets.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    prepare = verbs.add_parser("prepare", help="write a data set in the layout the suites read")
    names = prepare.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in PREPARED:
        _add(names, name, module=f"multimae.data.prepare.{name}")
    _add(verbs, "pseudo-label", module=PSEUDO_LABEL)
    # The words themselves, for a command that goes on in the background.
    arguments = parser.parse_args(argv, argparse.Namespace(argv=argv))
    try:
        return _preparation(arguments.module).run(arguments)
    except DataError as error:
        print(f"multimae data: {error}", file=sys.stderr)
        return 3


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, *, module: str) -> None:
    preparation = _preparation(module)
    command = commands.add_parser(name, help=(preparation.__doc__ or "").splitlines()[0])
    command.set_defaults(module=module)
    preparation.add_arguments(command)


def _preparation(module: str) -> Preparation:
    return cast(Preparation, import_module(module))

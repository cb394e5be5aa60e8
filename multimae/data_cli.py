"""`multimae data`: make data sets, check them, label them. What does the work brings its own options."""

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast, runtime_checkable

from multimae.data.sample import DataError
from multimae.door import explained
from multimae.processes import WorkerLostError
from multimae.record.text import tell

PREPARE = "multimae.prepare"
VERBS = MappingProxyType(
    {
        "verify": "multimae.verify.command",
        "pack": "multimae.packing.command",
        "pseudo-label": "experiments.label",
    }
)


@runtime_checkable
class Command(Protocol):
    """What a module of `multimae.prepare`, or the one behind a verb, offers."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add its own options."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


@explained("multimae data")
def main(argv: list[str] | None = None) -> int:
    """Run `multimae data VERB ...` and return its exit code: 3 where the machine or the data is at fault."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="multimae data", description="Make data sets, check them, label them.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    prepare = verbs.add_parser("prepare", help="write a data set in the layout the suites read")
    names = prepare.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in prepared():
        _add(names, name, module=f"{PREPARE}.{name}")
    for verb, module in VERBS.items():
        _add(verbs, verb, module=module)
    # The words themselves, for a command that goes on in the background.
    arguments = parser.parse_args(argv, argparse.Namespace(argv=argv))
    try:
        return _work(arguments.module).run(arguments)
    except (DataError, WorkerLostError) as error:
        tell(f"multimae data: {error}", stream="err")
        return 3


def prepared() -> tuple[str, ...]:
    """List the data sets that can be prepared: the modules of `multimae.prepare` that are commands."""
    folders = import_module(PREPARE).__path__
    files = (file for folder in folders for file in Path(folder).glob("*.py"))
    is_command = re.compile(r"^def add_arguments\b", re.MULTILINE)
    return tuple(sorted(file.stem for file in files if is_command.search(file.read_text("utf-8"))))


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, *, module: str) -> None:
    work = _work(module)
    command = commands.add_parser(name, help=(work.__doc__ or "").splitlines()[0])
    command.set_defaults(module=module)
    work.add_arguments(command)


def _work(module: str) -> Command:
    return cast(Command, import_module(module))

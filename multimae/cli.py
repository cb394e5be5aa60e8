"""The `multimae` command: one console script, its sub-commands found where their code is."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from multimae import __version__
from multimae.door import enter

COMMANDS = {
    "sweep": ("experiments.sweep", "run a suite: plan, train, collect, report"),
    "search": ("experiments.search", "search over fields of a recipe with Optuna"),
    "report": ("reports.make", "make the report of a suite again, from its runs"),
    "doctor": ("experiments.doctor.command", "look at what runs will meet on this machine or cluster"),
    "track": ("experiments.track.command", "mirror the runs' records into MLflow"),
    "gc": ("experiments.free", "free what the runs folder holds and nothing needs"),
    "data": ("multimae.data_cli", "prepare, check and pack data sets, make pseudo labels"),
    "demo": ("reports.pages.demo", "make a page with the predictions of a pre-training for an image"),
    "weights": ("multimae.checkpoints.command", "list, download and export published checkpoints"),
}


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="multimae",
        description="MultiMAE pre-training, transfers and experiment suites.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["commands:", *(f"  {name:8}{text}" for name, (_, text) in COMMANDS.items())]),
    )
    parser.add_argument("--version", action="version", version=f"multimae {__version__}")
    parser.add_argument(
        "command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below; each has --help"
    )
    command = parser.parse_args(arguments[:1]).command
    sys.path.insert(0, str(drivers_root()))
    code: int = import_module(COMMANDS[command][0]).main(arguments[1:])
    return code


def command() -> int:
    """Run what the command line says: the console script."""
    return enter(main, name="multimae")


def drivers_root() -> Path:
    """Return the folder that holds experiments, slurm, reports and benchmarks: the checkout, or the wheel's bundle."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    return checkout if (checkout / "experiments" / "sweep.py").is_file() else package / "_bundle"


if __name__ == "__main__":
    sys.exit(command())

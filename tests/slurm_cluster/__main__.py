"""`python -m tests.slurm_cluster up|down DIR`: a real Slurm cluster on this machine, on the loopback, as root."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.slurm_cluster.daemons import ClusterError
from tests.slurm_cluster.packages import install_missing
from tests.slurm_cluster.running import down, purge, up
from tests.slurm_cluster.settings import ClusterSettings

REMEMBERED = "settings.json"


def parser() -> argparse.ArgumentParser:
    """Return the command line; `down` finds what `up` was told in the folder."""
    made = argparse.ArgumentParser(prog="slurm_cluster", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start what does not run yet")
    starting.add_argument("--nodes", type=int, default=2, metavar="N", dest="num_nodes")
    starting.add_argument("--cpus", type=int, default=16, metavar="N", help="of each node (default: 16)")
    starting.add_argument("--gpus", type=int, default=4, metavar="N", help="of each node, no real ones (default: 4)")
    starting.add_argument("--port", type=int, default=16_800, metavar="N", help="the first port used (default: 16800)")
    starting.add_argument("--no-accounting", action="store_false", dest="accounting", help="no database; sacct fails")
    starting.add_argument("--enforce", action="store_true", help="refuse accounts and QOS that are not known")
    starting.add_argument(
        "--kill-over-memory", action="store_true", help="kill jobs that take more than they asked for"
    )
    commands.add_parser("install", help="install the packages that are missing, and start nothing")
    stopping = commands.add_parser("down", help="end its jobs and daemons")
    stopping.add_argument("--purge", action="store_true", help="remove its files, too")
    for command in (starting, stopping):
        command.add_argument("folder", type=lambda text: Path(text).absolute(), metavar="DIR")
    return made


def main() -> int:
    """Run the command; 0 where it is done, 3 where something is in its way."""
    arguments = vars(parser().parse_args())
    command = arguments.pop("command")
    try:
        if command == "install":
            install_missing(accounting=True)
        elif command == "up":
            _up(ClusterSettings(**arguments))
        else:
            _down(arguments["folder"], remove=arguments["purge"])
    except (ClusterError, ValueError, RuntimeError) as error:
        print(f"slurm_cluster: {error}", file=sys.stderr)
        return 3
    return 0


def _up(settings: ClusterSettings) -> None:
    started = time.monotonic()
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / REMEMBERED).write_text(json.dumps(asdict(settings), default=str, indent=1))
    up(settings)
    print(f"up in {time.monotonic() - started:.0f} s; in a shell: . {settings.folder}/env.sh")


def _down(folder: Path, *, remove: bool) -> None:
    remembered = folder / REMEMBERED
    if remembered.exists():
        told = json.loads(remembered.read_text())
        down(ClusterSettings(**{**told, "folder": folder, "extra": tuple(told["extra"])}))
    if remove:
        purge(folder)
    print("down")


if __name__ == "__main__":
    sys.exit(main())

"""`python experiments/search.py --suite nyuv2 --task nyuv2-semseg --inputs rgb`: search a recipe's best fields."""

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder comes first on the path, where a file could hide an installed package of the same name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from collections.abc import Sequence

from experiments.plan.errors import PreconditionError, UsageError
from multimae import __version__
from multimae.door import enter, explained
from multimae.options import names, number, whole
from multimae.record.text import tell

EPILOG = """examples:
  python experiments/search.py --suite nyuv2 --task nyuv2-semseg --inputs rgb,depth --trials 64 --parallel 8
  python experiments/search.py --suite nyuv2 --task nyuv2-depth --inputs rgb --pruner none --objective val_delta1 \\
      --objective gpu_hours
  python experiments/search.py best nyuv2-semseg-rgb+depth-finetune
  python experiments/search.py export nyuv2-semseg-rgb+depth-finetune --as recipe
The same command continues with the remaining trials; a larger --trials adds more.
exit codes: 0 done, 1 the best could not be repeated, 2 wrong usage or settings, 3 environment or data,
  130 left by Ctrl-C (129: the terminal was closed, 141: the pipe, 143: killed)
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line of a search."""
    made = argparse.ArgumentParser(
        prog="search",
        description="Search over fields of a recipe. A trial is a run, judged on held-out images only.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"multimae {__version__}")
    what = made.add_argument_group("experiment")
    what.add_argument("--suite", required=True, metavar="NAME", help="the suite that has the task and its pre-training")
    what.add_argument("--task", required=True, metavar="NAME", help="a transfer of the suite")
    what.add_argument(
        "--inputs",
        type=names,
        metavar="M,M",
        help="its input modalities (default: those of the suite's first transfer of the task)",
    )
    what.add_argument("--checkpoint", metavar="C", help="start of every trial (default: the suite's first checkpoint)")
    what.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds the data set (default: rooms)")
    what.add_argument("--dataset", metavar="NAME", help="search on another data set (with --data-root)")
    what.add_argument("--profile", choices=("cpu", "paper"), default="cpu")
    what.add_argument("--size", metavar="SIZE", help="tiny, small, base or large (default: the suite's, by profile)")
    what.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="seed of every trial's training (default: 0)"
    )
    what.add_argument("--set", action="append", default=[], metavar="SCOPE.FIELD=VALUE", dest="overrides")
    how = made.add_argument_group("search")
    how.add_argument("--trials", type=whole(1), default=16, metavar="N", help="number of trials in all (default: 16)")
    how.add_argument("--parallel", type=whole(1), metavar="N", help="trials at a time (default: cores, or 8 on Slurm)")
    how.add_argument("--space", default="finetune", metavar="NAME", help="a search space's name, or a .py file")
    how.add_argument("--sampler", choices=("tpe", "random", "cmaes", "gp", "nsga2"), default="tpe")
    how.add_argument("--pruner", choices=("asha", "hyperband", "median", "none"), default="asha")
    how.add_argument(
        "--eta", type=whole(2), default=3, metavar="N", help="one trial in N continues at each rung (default: 3)"
    )
    how.add_argument(
        "--min-ratio",
        type=number(above=0.0, up_to=1.0),
        default=0.1,
        metavar="R",
        help="first rung, as a share of a training (default: 0.1)",
    )
    how.add_argument(
        "--objective",
        action="append",
        default=[],
        metavar="NAME",
        help="val_<metric>, gpu_hours or num_params; twice for a Pareto front (default: the task's primary metric)",
    )
    how.add_argument("--search-seed", type=whole(0), default=0, metavar="N", help="seed of the sampler (default: 0)")
    how.add_argument(
        "--retries", type=whole(0), default=1, metavar="N", help="further tries of a lost trial (default: 1)"
    )
    how.add_argument(
        "--repeat-best",
        type=whole(0),
        default=0,
        metavar="K",
        help="train winner and recipe again with K fresh seeds",
    )
    where = made.add_argument_group("place")
    where.add_argument("--name", metavar="NAME", help="the search's folder (default: <task>-<inputs>-<space>)")
    where.add_argument("--storage", metavar="URL", help="a database for the study, such as postgresql://...")
    where.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    where.add_argument("--executor", choices=("auto", "local", "slurm", "inline"), default="auto")
    where.add_argument("--cluster", metavar="NAME", help="entry of clusters.toml (default: its first)")
    where.add_argument("--cluster-file", type=Path, metavar="FILE", help="default: ./clusters.toml")
    where.add_argument("--max-parallel", type=whole(1), metavar="N", help="cores to use on this machine (default: all)")
    where.add_argument("--devices", type=whole(1), default=1, metavar="N", help="GPUs (or processes) a trial trains on")
    where.add_argument("--detach", action="store_true", help="continue in the background")
    made.add_argument("--dry-run", action="store_true", help="print space, first trial and brackets, start nothing")
    return made


@explained("search")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        if argv and argv[0] in ("best", "export", "report"):
            from experiments.searches.results import show
            from experiments.searches.storage import explain_lost_database

            with explain_lost_database():
                return show(argv)
        arguments = parser().parse_args(argv)
        from experiments.searches.driving import search
        from experiments.searches.storage import explain_lost_database

        with explain_lost_database():
            return search(arguments, argv=argv)
    except (UsageError, PreconditionError) as error:
        tell(f"search: {error}", stream="err")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(enter(main, name="search"))

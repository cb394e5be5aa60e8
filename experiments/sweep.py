"""`python experiments/sweep.py --suite nyuv2`: plan a suite, run what is not finished, collect, report."""

import argparse
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder comes first on the path, where a file could hide an installed package of the same name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from collections.abc import Sequence

from experiments.plan.datasource import find_all_data, on_dataset
from experiments.plan.errors import PreconditionError, UsageError
from experiments.plan.feasible import check_plan
from experiments.plan.folders import check_free_for_suite, check_runs_dir
from experiments.plan.known import KnownRuns
from experiments.plan.planning import PlannedRun, make_plan
from experiments.plan.settings import resolve_recipes
from experiments.plan.starts import fetch_published, resolve_starts
from experiments.plan.suite import StartingWeights, Suite, SuiteRun, expand, load_suite, own_file, size_of
from experiments.track.address import require_possible, tracking_uri
from multimae import __version__
from multimae.door import enter, explained
from multimae.options import names, seeds, whole
from multimae.record.text import tell

Starts = tuple[tuple[str, ...], tuple[StartingWeights, ...]]

EPILOG = """examples:
  python experiments/sweep.py --suite nyuv2                              on the embedded rooms
  python experiments/sweep.py --suite nyuv2 --data-root /data            on your NYUv2 in /data/nyuv2
  python experiments/sweep.py --suite nyuv2 --set recipe.lr=3e-4 --why --dry-run
exit codes: 0 done or nothing to do, 1 some runs failed, 2 wrong usage or settings, 3 environment or data,
  130 left by Ctrl-C (129: the terminal was closed, 141: the pipe, 143: killed)
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line; settings of a recipe are not options of their own but go through --set."""
    made = argparse.ArgumentParser(
        prog="sweep",
        description="Run a suite: keep finished runs, resume unfinished ones, then write table and report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"multimae {__version__}")
    made.add_argument("--suite", required=True, metavar="NAME", help="a suite's name, or the path of a .py file")
    what = made.add_argument_group("experiment")
    what.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds the data set (default: rooms)")
    what.add_argument("--dataset", metavar="NAME", help="run the suite on another data set (with --data-root)")
    what.add_argument(
        "--checkpoints",
        type=names,
        metavar="C,C,..",
        help="starts of the transfers: the suite's pre-trainings by name, scratch, a name of `multimae weights ls`, "
        "NAME=FILE (default: the suite's)",
    )
    what.add_argument("--profile", choices=("cpu", "paper"), default="cpu", help="recipes: for a CPU, or the paper's")
    what.add_argument("--size", metavar="SIZE", help="tiny, small, base or large (default: the suite's, by profile)")
    what.add_argument("--seeds", type=seeds, metavar="N,N,..", help="seeds of the transfers (default: the suite's)")
    what.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SCOPE.FIELD=VALUE",
        dest="overrides",
        help="override a recipe field; scope is recipe (all transfers), pretraining or a task's name",
    )
    where = made.add_argument_group("place")
    where.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    where.add_argument(
        "--executor",
        choices=("auto", "local", "slurm", "inline"),
        default="auto",
        help="auto: Slurm where sbatch is on the PATH, else this machine; inline: in the foreground",
    )
    where.add_argument("--cluster", metavar="NAME", help="entry of clusters.toml (default: its first)")
    where.add_argument("--cluster-file", type=Path, metavar="FILE", help="default: ./clusters.toml")
    where.add_argument(
        "--max-parallel", type=whole(1), metavar="N", help="jobs at a time on this machine (default: cores)"
    )
    where.add_argument(
        "--devices", type=whole(1), default=1, metavar="N", help="GPUs (or processes) a run trains on, of one node"
    )
    where.add_argument("--detach", action="store_true", help="submit and return; the same command collects later")
    where.add_argument(
        "--keep-checkpoints",
        choices=("weights", "all", "none"),
        default="weights",
        help="what finished runs keep: weights (to be scored again, default), all (with the optimizer), none",
    )
    where.add_argument(
        "--accept-code",
        action="store_true",
        help="keep finished runs although code that trains them has changed; their results say so",
    )
    show = made.add_argument_group("output")
    show.add_argument("--dry-run", action="store_true", help="print the plan, start nothing")
    show.add_argument("--why", action="store_true", help="with --dry-run: which setting makes each run new")
    show.add_argument("--json", action="store_true", help="with --dry-run: the plan as JSON")
    return made


def runs_of(suite: Suite, *, arguments: argparse.Namespace, starts: Starts) -> tuple[SuiteRun, ...]:
    """Expand the suite under the command line's choices."""
    checkpoints, weights = starts
    return expand(
        suite,
        recipes=resolve_recipes(suite.tasks, profile=arguments.profile, overrides=arguments.overrides),
        profile=arguments.profile,
        size=size_of(suite, chosen=arguments.size, profile=arguments.profile),
        seeds=arguments.seeds or suite.seeds,
        checkpoints=checkpoints,
        weights=weights,
    )


@explained("sweep")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = parser().parse_args(argv)
    try:
        require_possible(tracking_uri())
        check_runs_dir(arguments.runs_dir, to="read" if arguments.dry_run else "write")
        suite = on_dataset(load_suite(arguments.suite), name=arguments.dataset, data_root=arguments.data_root)
        check_free_for_suite(arguments.runs_dir / suite.name, source=own_file(arguments.suite))
        starts = resolve_starts(suite, chosen=arguments.checkpoints, profile=arguments.profile)
        runs = runs_of(suite, arguments=arguments, starts=starts)
        known = KnownRuns(suite_dir=arguments.runs_dir / suite.name, accept_code=arguments.accept_code)
        plan = make_plan(runs, data=find_all_data(runs, data_root=arguments.data_root), key_of=known.key_of)
        check_plan(plan, devices=arguments.devices, keep=arguments.keep_checkpoints)
        if arguments.dry_run:
            return _show(plan, arguments=arguments)
        fetch_published(starts[1])
        from experiments.drive.sweeping import sweep

        return sweep(plan, suite=suite, arguments=arguments, argv=argv)
    except (UsageError, PreconditionError) as error:
        tell(f"sweep: {error}", stream="err")
        return error.exit_code


def _show(plan: Sequence[PlannedRun], *, arguments: argparse.Namespace) -> int:
    from experiments.plan.disk import bytes_kept
    from experiments.plan.show import plan_as_json, print_causes, print_plan, standings_of
    from experiments.plan.why import causes, kept_scores, reasons_of

    suite_dir = arguments.runs_dir / plan[0].run.suite
    standings = standings_of(plan, suite_dir=suite_dir)
    reasons = reasons_of(plan, suite_dir=suite_dir, standings=standings) if arguments.why else {}
    reasons |= kept_scores(plan, suite_dir=suite_dir, standings=standings)
    if arguments.json:
        print(json.dumps(plan_as_json(plan, standings=standings, reasons=reasons), indent=1))
    else:
        print_plan(
            plan, standings=standings, kept=bytes_kept(plan, suite_dir=suite_dir, keep=arguments.keep_checkpoints)
        )
        print_causes(causes(reasons))
    return 0


if __name__ == "__main__":
    sys.exit(enter(main, name="sweep"))

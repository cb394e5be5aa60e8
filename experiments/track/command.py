"""`multimae track sync`: mirror the runs' records into MLflow now, for example from a login node."""

import argparse
import sys
from pathlib import Path

from experiments.plan.errors import PreconditionError, UsageError, unknown
from experiments.plan.folders import require_runs_dir
from multimae.door import explained
from multimae.record.paths import suites_in


@explained("multimae track")
def main(argv: list[str] | None = None) -> int:
    """Ingest the named suites, by default all, and return 0."""
    parser = argparse.ArgumentParser(prog="multimae track", description="Mirror the runs' records into MLflow.")
    parser.add_argument("verb", choices=("sync",))
    parser.add_argument("--suite", action="append", metavar="NAME", help="default: every suite of the runs folder")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else mlflow.db in the runs folder")
    arguments = parser.parse_args(argv)
    from experiments.track.ingest import ingest

    try:
        known = suites_in(require_runs_dir(arguments.runs_dir))
        if missing := [name for name in arguments.suite or () if name not in known]:
            raise unknown("suite", missing[0], known)
    except (UsageError, PreconditionError) as error:
        print(f"multimae track: {error}", file=sys.stderr)
        return error.exit_code
    suites = arguments.suite or known
    for suite in suites:
        print(f"{suite}: {ingest(arguments.runs_dir, suite, uri=arguments.uri)}")
    return 0

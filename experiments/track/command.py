"""`multimae track sync`: mirror the runs' records into MLflow now, for example from a login node."""

import argparse
from pathlib import Path

from experiments.plan.errors import PreconditionError, UsageError, unknown
from experiments.plan.folders import require_runs_dir
from experiments.track.address import require_possible, tracking_uri
from multimae.door import explained
from multimae.record.paths import suites_in
from multimae.record.text import tell


@explained("multimae track")
def main(argv: list[str] | None = None) -> int:
    """Ingest the named suites, by default all, and return the exit code: 3 where the store cannot be written."""
    parser = argparse.ArgumentParser(prog="multimae track", description="Mirror the runs' records into MLflow.")
    parser.add_argument("verb", choices=("sync",))
    parser.add_argument("--suite", action="append", metavar="NAME", help="default: every suite of the runs folder")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else mlflow.db in the runs folder")
    arguments = parser.parse_args(argv)
    from experiments.track.ingest import ingest

    try:
        require_possible(tracking_uri(arguments.uri))
        known = suites_in(require_runs_dir(arguments.runs_dir))
        if missing := [name for name in arguments.suite or () if name not in known]:
            raise unknown("suite", missing[0], known)
        for suite in arguments.suite or known:
            tell(f"{suite}: {ingest(arguments.runs_dir, suite, uri=arguments.uri)}")
    except (UsageError, PreconditionError) as error:
        tell(f"multimae track: {error}", stream="err")
        return error.exit_code
    return 0

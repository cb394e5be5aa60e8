"""`multimae doctor`: look at what runs will meet here, and say what to do where that is not well."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.doctor.diagnosis import Diagnosis, Verdict, exit_code
from experiments.doctor.environment import check_gpu, check_packages, check_variables
from experiments.doctor.folders import check_folders
from experiments.doctor.scheduler import check_scheduler
from experiments.plan.errors import UsageError
from multimae.door import explained
from multimae.record.text import tell
from slurm.cluster import ClusterError, load_cluster

MARKS: dict[Verdict, str] = {"well": "ok", "note": "note", "wrong": "WRONG"}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="multimae doctor",
        description="Look at packages, GPU, variables, folders and the cluster, and say what to do.",
        epilog="exit codes: 0 nothing is wrong, 2 wrong usage, 3 something that would end runs",
        allow_abbrev=False,
    )
    made.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    made.add_argument("--cluster", metavar="NAME", help="entry of clusters.toml (default: its first)")
    made.add_argument("--cluster-file", type=Path, metavar="FILE", help="default: ./clusters.toml")
    made.add_argument("--json", action="store_true", help="as JSON")
    return made


@explained("multimae doctor")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        findings = _show(look(arguments), quiet=arguments.json)
    except UsageError as error:
        tell(f"multimae doctor: {error}", stream="err")
        return error.exit_code
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    return exit_code(findings)


def look(arguments: argparse.Namespace) -> Iterator[Diagnosis]:
    """Yield every finding as it is made."""
    try:
        cluster = load_cluster(arguments.cluster_file, name=arguments.cluster)
    except ClusterError as error:
        raise UsageError(str(error)) from error
    yield from check_packages()
    yield from check_variables()
    yield from check_folders(arguments.runs_dir)
    yield from check_scheduler(cluster)
    yield from check_gpu()


def _show(findings: Iterator[Diagnosis], *, quiet: bool) -> list[Diagnosis]:
    """Print findings while they come, unless they are printed in the end; return them."""
    shown = []
    for finding in findings:
        shown.append(finding)
        if not quiet:
            fix = f"\n{'':21}{finding.fix}" if finding.fix and finding.verdict != "well" else ""
            tell(f"{MARKS[finding.verdict]:6} {finding.area:12}  {finding.said}{fix}")
            sys.stdout.flush()
    return shown

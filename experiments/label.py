"""Label images with trained networks, in the reference's formats: 16-bit depth, 8-bit classes and normals."""

import argparse
from pathlib import Path

from experiments.plan.errors import PreconditionError, UsageError
from multimae.engine.failures import SettingsError
from multimae.options import whole
from multimae.pseudo_labels.command import add_options, settings_of
from multimae.record.text import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data pseudo-label`."""
    add_options(parser)
    jobs = parser.add_argument_group("as jobs")
    jobs.add_argument("--shards", type=whole(1), metavar="N", help="split the images over N jobs (default: no jobs)")
    jobs.add_argument("--executor", choices=("auto", "local", "slurm", "inline"), default="auto")
    jobs.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    jobs.add_argument("--cluster", metavar="NAME", help="entry of clusters.toml (default: its first)")
    jobs.add_argument("--cluster-file", type=Path, metavar="FILE", help="default: ./clusters.toml")
    jobs.add_argument(
        "--max-parallel", type=whole(1), metavar="N", help="jobs at a time on this machine (default: cores)"
    )
    jobs.add_argument("--detach", action="store_true", help="submit and return; the same command collects later")


def run(args: argparse.Namespace) -> int:
    """Label, here or in jobs, and return the exit code: 1 where images could not be read, 2 for wrong settings."""
    try:
        settings = settings_of(args)
        # Imported where they are needed: one loads torch, the other all that drives jobs.
        if args.shards is None:
            from multimae.pseudo_labels.foreground import label

            return label(settings, others="replace" if args.overwrite else "refuse")
        from experiments.drive.labelling import label_in_jobs

        return label_in_jobs(settings, arguments=args)
    except SettingsError as error:
        tell(f"multimae data pseudo-label: {error}", stream="err")
        return UsageError.exit_code
    except (UsageError, PreconditionError) as error:
        tell(f"multimae data pseudo-label: {error}", stream="err")
        return error.exit_code

"""What a job executes: `python -m multimae.train RUN_DIR --attempt N`.

Everything a run needs is in RUN_DIR/config.py and run.json; everything it leaves is in RUN_DIR. However it ends, its
attempt's exit.json says so (only a SIGKILL leaves none), and the exit code follows: 0 finished, 75 stopped in time,
2 settings, 3 data, 1 anything else.
"""

import argparse
import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from multimae.engine.attempt import Attempt, current_attempt
from multimae.engine.failures import kind_of
from multimae.engine.signals import StopRequest


def main(argv: list[str] | None = None) -> int:
    """Run one attempt of a run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m multimae.train", description="Execute one run.")
    parser.add_argument("run_dir", type=Path, help="the run directory, holding config.py and run.json")
    parser.add_argument("--attempt", type=int, default=1, help="number of this start, from 1")
    arguments = parser.parse_args(argv)
    attempt = current_attempt(arguments.run_dir.resolve(), submitted=arguments.attempt, environ=os.environ)
    return run_attempt(attempt)


def run_attempt(attempt: Attempt) -> int:
    """Execute the run; whatever happens is named in exit.json."""
    stop = StopRequest()
    stop.listen()
    try:
        attempt.start()
        _execute(attempt, stop=stop)
    except BaseException as error:
        traceback.print_exc()
        return attempt.end(kind=kind_of(error), message=f"{type(error).__name__}: {error}")
    return attempt.end(kind="finished", message="")


def _execute(attempt: Attempt, *, stop: StopRequest) -> None:
    """Train, or do what the module does that run.json names as its job.

    What does the work is imported here, so that a job stopped while torch loads still leaves its exit.json; other jobs
    than training by name, so that their code is no part of a training's digest.
    """
    run = json.loads((attempt.run_dir / "run.json").read_text())
    if "job" in run:
        import_module(run["job"]).execute(attempt, stop=stop)
        return
    from multimae.engine.job import execute

    execute(attempt, stop=stop)


if __name__ == "__main__":
    sys.exit(main())

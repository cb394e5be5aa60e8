"""What a job executes: `python -m multimae.train RUN_DIR --attempt N`.

Everything a run needs is in RUN_DIR/config.py and run.json; everything it leaves is in RUN_DIR. However it ends, its
attempt's exit.json says so (only a SIGKILL leaves none), and the exit code follows: 0 finished, 75 stopped in time,
2 settings, 3 data, 1 anything else.
"""

import argparse
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from multimae.engine.failures import kind_of
from multimae.engine.ranks import Ranks, end_with_parent, is_parent, is_rank, leave, rank_of_this_process
from multimae.engine.signals import StopRequest
from multimae.options import whole
from multimae.record.attempt import Attempt, current_attempt
from multimae.record.run import Run


def main(argv: list[str] | None = None) -> int:
    """Run one attempt of a run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m multimae.train", description="Execute one run.")
    parser.add_argument("run_dir", type=Path, help="the run directory, holding config.py and run.json")
    parser.add_argument("--attempt", type=whole(1), metavar="N", help="number submitted (default: the next one)")
    parser.add_argument("--devices", type=whole(1), default=1, metavar="N", help="train on N devices of this machine")
    arguments = parser.parse_args(argv)
    run_dir: Path = arguments.run_dir.resolve()
    if is_rank():  # of a parent that has said which attempt it is
        end_with_parent()
        attempt = Attempt(run_dir=run_dir, number=arguments.attempt or 1)
        return run_attempt(attempt, rank=rank_of_this_process())
    attempt = current_attempt(run_dir, submitted=arguments.attempt, environ=os.environ)
    if is_parent(arguments.devices):
        return _run_ranks(attempt, num_devices=arguments.devices)
    return run_attempt(attempt)


def run_attempt(attempt: Attempt, *, rank: int = 0) -> int:
    """Execute the run, or one rank's part of it; whatever happens is named in exit.json, by the first to fail."""
    stop = StopRequest()
    stop.listen()
    try:
        if rank == 0:
            attempt.start()
        _execute(attempt, stop=stop)
    except BaseException as error:
        traceback.print_exc()
        kind, message = kind_of(error), f"{type(error).__name__}: {error}"
        return attempt.end(kind=kind, message=message) if rank == 0 else attempt.end_rank(kind=kind, message=message)
    return attempt.end(kind="finished", message="") if rank == 0 else 0


def _run_ranks(attempt: Attempt, *, num_devices: int) -> int:
    """Run all ranks; where rank 0 was ended because another had failed, that one's failure is the attempt's."""
    command = ("-P", "-m", "multimae.train", str(attempt.run_dir), "--attempt", str(attempt.number))
    code = Ranks(command, num_devices=num_devices).wait()
    said = attempt.ending
    if said is not None:
        return said.exit_code
    return attempt.end_as_rank_did(otherwise=f"a rank ended with exit code {code}")


def _execute(attempt: Attempt, *, stop: StopRequest) -> None:
    """Train, or do what the module does that run.json names as its job.

    What does the work is imported here, so that a job stopped while torch loads still leaves its exit.json; other jobs
    than training by name, so that their code is no part of a training's digest.
    """
    run = Run.of(attempt.run_dir)
    if run.job:
        import_module(run.job).execute(attempt, stop=stop)
        return
    from multimae.engine.job import execute

    execute(attempt, stop=stop)


if __name__ == "__main__":
    code = main()
    if is_rank():
        leave(code)
    sys.exit(code)

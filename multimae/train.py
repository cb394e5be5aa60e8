"""What a job executes: `python -m multimae.train RUN_DIR --attempt N`.

Everything a run needs is in RUN_DIR/config.py and run.json; everything it leaves is in RUN_DIR. However it ends, its
attempt's exit.json says so (only a SIGKILL leaves none), and the exit code follows: 0 finished, 75 stopped in time,
2 settings, 3 data, 1 anything else. A job that SIGUSR2 has stopped in time puts itself back into its queue, if the
launcher has left a command for that.
"""

import argparse
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from multimae.engine.coming_back import come_back
from multimae.engine.failures import kind_of
from multimae.engine.ranks import Ranks, end_with_parent, is_parent, is_rank, leave, rank_of_this_process
from multimae.engine.signals import StopRequest
from multimae.options import whole
from multimae.record.attempt import Attempt, current_attempt
from multimae.record.run import Run
from multimae.record.state import RESUMABLE_KINDS


def main(argv: list[str] | None = None) -> int:
    """Run one attempt of a run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m multimae.train", description="Execute one run.")
    parser.add_argument("run_dir", type=Path, help="the run directory, holding config.py and run.json")
    parser.add_argument("--attempt", type=whole(1), metavar="N", help="number submitted (default: the next one)")
    parser.add_argument("--devices", type=whole(1), default=1, metavar="N", help="train on N devices of this machine")
    arguments = parser.parse_args(argv)
    run_dir: Path = arguments.run_dir.resolve()
    stop = StopRequest()
    stop.listen()
    if is_rank():  # of a parent that has said which attempt it is
        end_with_parent()
        attempt = Attempt(run_dir=run_dir, number=arguments.attempt or 1)
        return run_attempt(attempt, stop=stop, rank=rank_of_this_process())
    attempt = current_attempt(run_dir, submitted=arguments.attempt, environ=os.environ)
    several = is_parent(arguments.devices)
    code = _run_ranks(attempt, stop=stop, num_devices=arguments.devices) if several else run_attempt(attempt, stop=stop)
    stop.listen_no_more()
    if stop.wants_back and _has_stopped(attempt):
        come_back(attempt, environ=os.environ)
    return code


def run_attempt(attempt: Attempt, *, stop: StopRequest, rank: int = 0) -> int:
    """Execute the run, or one rank's part of it; whatever happens is named in exit.json, by the first to fail."""
    try:
        if rank == 0:
            attempt.start()
        _execute(attempt, stop=stop)
    except BaseException as error:
        traceback.print_exc()
        kind, message = kind_of(error), f"{type(error).__name__}: {error}"
        return attempt.end(kind=kind, message=message) if rank == 0 else attempt.end_rank(kind=kind, message=message)
    return attempt.end(kind="finished", message="") if rank == 0 else 0


def _run_ranks(attempt: Attempt, *, stop: StopRequest, num_devices: int) -> int:
    """Run all ranks; where rank 0 was ended because another had failed, that one's failure is the attempt's."""
    command = ("-P", "-m", "multimae.train", str(attempt.run_dir), "--attempt", str(attempt.number))
    ranks = Ranks(command, num_devices=num_devices)
    stop.listen(tell=ranks.hand_on)
    code = ranks.wait()
    said = attempt.ending
    if said is not None:
        return said.exit_code
    return attempt.end_as_rank_did(otherwise=f"a rank ended with exit code {code}")


def _has_stopped(attempt: Attempt) -> bool:
    """Say whether an attempt has saved its state and ended before the run did."""
    said = attempt.ending
    return said is not None and said.kind in RESUMABLE_KINDS


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

"""How a job that was asked to stop comes back without anybody's help. Free of torch."""

import shlex
import subprocess
from collections.abc import Mapping

from multimae.record.attempt import Attempt
from multimae.record.progress import MOST_FUTILE, futile_starts
from multimae.record.text import tell

COMMAND = "MULTIMAE_COMES_BACK"
"""The variable in which the launcher leaves the command that puts the job back into its queue."""
WITHIN_S = 60


def come_back(attempt: Attempt, *, environ: Mapping[str, str]) -> None:
    """Run that command, if there is one and the starts before took the run on; it may end this process.

    Where it fails, the job ends as stopped, and whoever looks next starts the run again.
    """
    command = shlex.split(environ.get(COMMAND, ""))
    if not command:
        return
    if futile_starts(attempt.run_dir) >= MOST_FUTILE:
        tell(f"{MOST_FUTILE} starts in a row got no further: this job does not come back by itself", stream="err")
        return
    try:
        subprocess.run(command, check=True, timeout=WITHIN_S)
    except (OSError, subprocess.SubprocessError) as error:
        tell(f"this job cannot come back by itself: {error}", stream="err")

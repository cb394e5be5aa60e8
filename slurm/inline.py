"""Jobs in the foreground, one after the other, with the terminal as theirs: for debugging."""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multimae.record.job import JobState
from slurm.cluster import Resources
from slurm.inherited import without_inherited


class InlineLauncher:
    """Run the command and wait for it. Output is not logged, so that breakpoint() works in the job."""

    name = "inline"
    has_queue = False

    def submit(
        self,
        command: Sequence[str],
        *,
        attempt_dir: Path,
        name: str,
        resources: Resources,
        after: Sequence[str] = (),
        env: Mapping[str, str],
    ) -> str:
        with subprocess.Popen(command, env={**without_inherited(os.environ), **env}) as process:
            try:
                process.wait()
            except KeyboardInterrupt:
                process.wait()  # the terminal sent it to the job as well: let it write how it ended
                raise
            except BaseException:
                process.terminate()
                process.wait()
                raise
        return f"inline-{process.pid}"

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        return dict.fromkeys(ids, JobState.ENDED)

    def cancel(self, ids: Iterable[str]) -> None:
        """Do nothing: there is nothing left to cancel."""

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        return {}

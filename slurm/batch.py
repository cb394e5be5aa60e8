"""Jobs on Slurm, by submitit's executor: one batch script per attempt, which becomes our command."""

import contextlib
import io
import os
import random
import re
import shlex
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import CommandFunction, FailedJobError, FailedSubmissionError

from multimae.record.job import JobState
from slurm.cluster import Cluster, ComesBack, Resources
from slurm.errors import SubmissionError, UnansweredError
from slurm.facts import read_facts
from slurm.inherited import inherited_from_job
from slurm.squeue import ask, job_states, queued_jobs

SIGNAL_BEFORE_END_S = 90
SBATCH_WITHIN_S = 60
ANSWERS_WITHIN_S = 600.0
"""So long a controller that is restarted, or overloaded, is asked again before we give up."""
_ASK_EVERY_S = 5.0
_RETRY_AFTER_S = (2.0, 8.0)
COMES_BACK = 'export MULTIMAE_COMES_BACK="scontrol requeue $SLURM_JOB_ID"'
"""How a job that has stopped in time goes back into the queue: under its id, so that what depends on it still waits."""
# Ignored signals stay ignored through exec: one that comes before Python listens does not end the job.
DEAF_AT_FIRST = "trap '' USR2"

# What an overloaded or restarting slurmctld makes sbatch say; after any of them the job may exist all the same.
_TRANSIENT = re.compile(r"timed out|unable to contact|connection refused|temporarily|send/recv|try again", re.I)
_ADVICE = (
    ("account", "`sacctmgr show associations user=$USER` lists your accounts; set `account`"),
    ("partition", "`sinfo` lists the partitions; set `partition`"),
    ("qos", "`sacctmgr show associations user=$USER format=account,partition,qos` lists what you may use; set `qos`"),
    ("node configuration", "no node has what the job asks for (`sinfo -o '%P %c %m %G %f'`); change `constraint`"),
)


class SlurmLauncher:
    """Submit at once and let Slurm hold jobs back until those they come after have ended well."""

    name = "slurm"
    has_queue = True

    def __init__(self, *, cluster: Cluster, poll_seconds: float = 15.0) -> None:
        """Slurm is asked about states at most every `poll_seconds`; in between, the last answer holds."""
        self.cluster = cluster
        self._poll_seconds = poll_seconds
        self._asked = float("-inf")
        self._comes_back = cluster.comes_back
        self._states: dict[str, JobState] = {}

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
        folder = attempt_dir.absolute()
        (folder / "submitit").mkdir(parents=True, exist_ok=True)
        executor = _CommandExecutor(folder=folder / "submitit")
        options = _sbatch_options(self.cluster, folder=folder, name=name, resources=resources, after=after, env=env)
        options["setup"] += [DEAF_AT_FIRST, *([COMES_BACK] if self.comes_back == "requeue" else [])]
        executor.update_parameters(**options)
        job_id = self._sbatch(executor, command=command, name=name, run_dir=_run_dir(folder))
        self._states[job_id] = JobState.QUEUED
        return job_id

    @property
    def comes_back(self) -> ComesBack:
        """How a job that was stopped in time goes on; the cluster is asked once where `clusters.toml` does not say."""
        if self._comes_back is None:
            may_requeue = self.cluster.extra.get("requeue", True) and "no-requeue" not in self.cluster.extra
            facts = read_facts() if may_requeue else None
            self._comes_back = "driver" if not may_requeue or (facts and not facts.requeues) else "requeue"
        return self._comes_back

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        wanted = list(ids)
        new = any(job_id not in self._states for job_id in wanted)
        if new or time.monotonic() - self._asked >= self._poll_seconds:
            open_ids = [job_id for job_id in wanted if self._states.get(job_id) is not JobState.ENDED]
            self._states |= job_states(open_ids)
            self._asked = time.monotonic()
        return {job_id: self._states[job_id] for job_id in wanted}

    def cancel(self, ids: Iterable[str]) -> None:
        wanted = list(ids)
        if wanted:
            ask(["scancel", "--quiet", *wanted])
            self._asked = float("-inf")

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        jobs = queued_jobs()
        if jobs is None:
            raise UnansweredError(
                "Slurm does not answer (squeue), so nobody can say whether jobs were submitted; nothing is submitted "
                "twice: give the same command again once `scontrol ping` answers"
            )
        live = {job.comment: job.job_id for job in jobs if job.state is not JobState.ENDED}
        return {run_dir: live[str(run_dir.absolute())] for run_dir in run_dirs if str(run_dir.absolute()) in live}

    def _sbatch(self, executor: "_CommandExecutor", *, command: Sequence[str], name: str, run_dir: Path) -> str:
        for pause in (*_RETRY_AFTER_S, None):
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # the exception says it again
                    return executor.submit_line(f"exec {shlex.join(command)}")
            except (FailedJobError, FailedSubmissionError) as error:
                if pause is None or not _is_transient(error):
                    raise SubmissionError(_refusal(error, name=name, cluster=self.cluster)) from error
            # Many drivers fail together when Slurm is busy: come back at different times.
            time.sleep(pause * random.uniform(0.5, 1.5))
            existing = self._find_patiently(run_dir)
            if existing:
                return existing
        raise AssertionError("the last pause is None")

    def _find_patiently(self, run_dir: Path) -> str | None:
        """Return the id of a run's job, None if there is none: asked until there is an answer, or for long enough."""
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while True:
            try:
                return self.find([run_dir]).get(run_dir)
            except UnansweredError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_ASK_EVERY_S)


class _CommandExecutor(submitit.SlurmExecutor):  # type: ignore[misc]  # submitit's types are not followed
    """submitit's Slurm executor, submitting through sbatch with a time limit and without variables of an outer job.

    The documented `submit` would pickle a function and start it behind a wrapper that answers SIGUSR2 by itself,
    guessing between time-out and preemption. submitit's own way to submit a line takes %j and %a in the path of its
    folder for patterns.
    """

    def submit_line(self, line: str) -> str:
        """Submit a line of shell as it is; return the job's id."""
        script = Path(self.folder) / ".submission.sh"
        script.write_text(self._make_submission_file_text(line, uuid.uuid4().hex))
        said = CommandFunction(self._make_submission_command(script), verbose=False)()
        job_id = str(self._get_job_id_from_submission_command(said))
        script.rename(script.with_name(f"{job_id}_submission.sh"))
        return job_id

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        unset = [flag for name in inherited_from_job(os.environ) for flag in ("-u", name)]
        return ["timeout", str(SBATCH_WITHIN_S), "env", *unset, "sbatch", str(submission_file_path)]


def _sbatch_options(
    cluster: Cluster,
    *,
    folder: Path,
    name: str,
    resources: Resources,
    after: Sequence[str],
    env: Mapping[str, str],
) -> dict[str, Any]:
    minutes = cluster.time.minutes if cluster.time else resources.minutes
    variables = {"OMP_NUM_THREADS": str(resources.cpus), **env}
    options = {
        "job_name": name,
        "comment": str(_run_dir(folder)),
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "time": minutes,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus if resources.gpus and "gres" not in cluster.extra else None,
        "mem": f"{resources.memory_gb}GB" if resources.memory_gb else None,
        "dependency": f"afterok:{':'.join(after)}" if after else None,
        "setup": [*cluster.setup, *(f"export {key}={shlex.quote(value)}" for key, value in variables.items())],
        "wckey": None,
        "use_srun": False,
    }
    return {**options, "additional_parameters": _further_options(cluster, folder=folder, minutes=minutes)}


def _further_options(cluster: Cluster, *, folder: Path, minutes: int) -> dict[str, str | int | bool]:
    signal_s = min(SIGNAL_BEFORE_END_S, minutes * 60 // 4)
    log_dir = str(folder).replace("%", "%%")
    ours: dict[str, str | int | bool] = {
        "output": f"{log_dir}/out.log",
        "error": f"{log_dir}/err.log",
        "signal": f"B:USR2@{signal_s}",  # B: to the batch script alone, which is our command and not its workers
        "requeue": True,
        "kill-on-invalid-dep": "yes",
    }
    theirs = {key.replace("_", "-"): value for key, value in cluster.extra.items()}
    if theirs.get("requeue") is False:
        theirs["no-requeue"] = True
    return {key: value for key, value in (ours | theirs).items() if value is not False}


def _run_dir(attempt_dir: Path) -> Path:
    """Return RUN_DIR of RUN_DIR/attempts/<n>: the comment that tells our jobs apart, across suites and users."""
    return attempt_dir.parent.parent


def _is_transient(error: Exception) -> bool:
    timed_out = getattr(error.__cause__, "returncode", None) == 124  # of timeout(1)
    return timed_out or bool(_TRANSIENT.search(str(error)))


def _refusal(error: Exception, *, name: str, cluster: Cluster) -> str:
    said = re.sub(r"^sbatch: error: ", "", str(error), flags=re.M).strip() or f"no answer within {SBATCH_WITHIN_S} s"
    advice = next((text for word, text in _ADVICE if word in said.lower()), "try the job's script by hand with sbatch")
    return f"Slurm refused job {name}: {said}\nwhat to do: {advice} (cluster {cluster.name!r} of clusters.toml)"

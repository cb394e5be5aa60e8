"""Mirror what jobs have spooled into MLflow: the only writer of the store, and killable at any moment."""

import hashlib
import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from experiments.plan.errors import PreconditionError
from experiments.track.address import OWN, tracking_uri, without_password
from experiments.track.mirror import Mirrored, OvertakenError, Update, fingerprint, started, update
from experiments.track.store import Store, database_in
from multimae.record.attempt import newest_job
from multimae.record.job import Job, JobState
from multimae.record.locks import FileLock, locked
from multimae.record.paths import RunDir, SuiteDir
from multimae.record.run import Run
from multimae.record.state import ACTIVE, RunState, run_state, with_dependencies
from multimae.record.sweep import Sweep
from multimae.record.text import one_line
from slurm.choosing import choose, observe

Driving = Literal["at work", "over"]
MAX_REASON = 300


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What one round of ingestion told MLflow; all 0 when there was nothing new."""

    num_runs: int = 0
    num_points: int = 0
    num_artifacts: int = 0


def ingest(
    runs_dir: Path,
    suite: str,
    *,
    uri: str | None = None,
    states: Mapping[str, RunState] | None = None,
    driver: Driving | None = None,
) -> IngestReport:
    """Tell MLflow everything new about a suite's current plan; MLflow is not even imported when nothing is.

    The store is `uri`, else MLFLOW_TRACKING_URI, else `mlflow.db` in the runs folder. `states` are run states by key
    from somebody who has asked the scheduler; those that are missing are asked for here. `driver` says whether one is
    still at work, by default as the suite's lock says. Raises TrackingError where the store cannot be written.
    """
    sweep = Sweep.read(runs_dir / suite)
    if sweep is None:
        return IngestReport()
    chosen = tracking_uri(uri)
    if chosen == f"sqlite:///{database_in(runs_dir)}":
        chosen = OWN
    suite_dir = runs_dir / suite
    try:
        with locked(runs_dir / ".tracking.lock"):
            seen = states_of(suite_dir, keys=sweep.keys, known=states or {})
            return _Ingester(runs_dir, suite=suite, uri=chosen, driver=driver or _driver_of(suite_dir)).ingest(
                sweep, states=seen
            )
    except Exception as error:
        if not _is_of_store(error):
            raise
        raise TrackingError(f"{without_password(chosen) or database_in(runs_dir)}: {_reason(error)}") from error


class TrackingError(PreconditionError):
    """The store cannot be written now."""


def _is_of_store(error: Exception) -> bool:
    """Say whether an error is the store's, the network's or the disk's. By name: MLflow takes seconds to import."""
    origins = {parent.__module__.partition(".")[0] for parent in type(error).__mro__}
    return isinstance(error, OSError | sqlite3.Error) or bool(origins & {"mlflow", "sqlalchemy", "alembic", "requests"})


def _reason(error: BaseException) -> str:
    """Return, on one line, what was at the bottom of an error."""
    cause: BaseException | None = error
    while cause is not None:
        error, cause = cause, cause.__cause__ or cause.__context__
    return one_line(str(error) or type(error).__name__)[:MAX_REASON]


def _driver_of(suite_dir: Path) -> Driving:
    with FileLock(SuiteDir(suite_dir).lock) as lock:
        return "over" if lock.try_take() else "at work"


class _Ingester:
    """One round. What MLflow has is written down under `runs/.tracking/<store>/<suite>/`, one file per MLflow run."""

    def __init__(self, runs_dir: Path, *, suite: str, uri: str, driver: Driving) -> None:
        self.suite_dir = runs_dir / suite
        self.driver = driver
        self._open: Callable[[], Store] = lambda: Store.open(uri=uri, runs_dir=runs_dir, suite=suite)
        self._store: Store | None = None
        local = uri == OWN
        store_dir = runs_dir / ".tracking" / ("local" if local else hashlib.sha256(uri.encode()).hexdigest()[:8])
        if local and not (runs_dir / "mlflow.db").exists():
            shutil.rmtree(store_dir, ignore_errors=True)  # somebody removed the database: begin anew
        self.records = store_dir / suite

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = self._open()
        return self._store

    def ingest(self, sweep: Sweep, *, states: Mapping[str, RunState]) -> IngestReport:
        plan = sweep.parent or hashlib.sha256(json.dumps(sorted(sweep.keys)).encode()).hexdigest()[:8]
        parent_path = self.records / "sweeps" / f"{plan}.json"
        parent = self._parent(parent_path, sweep=sweep, states=states)
        totals = IngestReport()
        for key, state in states.items():
            done = self._run(key, state=state, parent_id=parent.run_id)
            if done is not None:
                totals = IngestReport(
                    num_runs=totals.num_runs + 1,
                    num_points=totals.num_points + len(done.points),
                    num_artifacts=totals.num_artifacts + len(done.artifacts),
                )
        return totals

    def _parent(self, path: Path, *, sweep: Sweep, states: Mapping[str, RunState]) -> Mirrored:
        tags = {name: getattr(sweep, name) for name in ("suite", "dataset", "profile", "size")}
        tags["command"] = " ".join(sweep.command)
        status = _sweep_status(sweep, states=states, driver=self.driver)
        parent = Mirrored.read(path)
        if parent.run_id and (parent.tags, parent.status) == (tags, status):
            return parent
        if not self._usable(parent):
            parent = self._create(path, name=sweep.title or sweep.suite, started=sweep.created)
        self.store.log(parent.run_id, params={}, tags=tags)
        self.store.set_status(parent.run_id, status=status, ended=time.time())
        parent = replace(parent, tags=tags, status=status)
        parent.write(path)
        return parent

    def _run(self, key: str, *, state: RunState, parent_id: str) -> Update | None:
        """Bring one run up to date; None when MLflow had it all."""
        run_dir, path = self.suite_dir / key, self.records / f"{key}.json"
        before = Mirrored.read(path)
        known_parent = before.tags.get("mlflow.parentRunId") == parent_id
        if not before.dirty and known_parent and before.seen == fingerprint(run_dir, state=state):
            return None
        try:
            if before.dirty:
                raise OvertakenError
            new = update(run_dir, state=state, parent_id=parent_id, before=before)
        except OvertakenError:
            self.store.delete(before.run_id)
            before = Mirrored()
            before.write(path)
            new = update(run_dir, state=state, parent_id=parent_id, before=before)
        if new.empty:
            new.done.write(path)
            return None
        if not self._usable(before):
            before = self._create(path, name=key, started=started(run_dir, state=state))
            new = update(run_dir, state=state, parent_id=parent_id, before=before)
        self._apply(new, path=path, before=before)
        return new

    def _usable(self, record: Mirrored) -> bool:
        return bool(record.run_id) and self.store.has(record.run_id)

    def _create(self, path: Path, *, name: str, started: float | None) -> Mirrored:
        """Create an MLflow run, or find the one that was created when a kill came before its id was written."""
        record = Mirrored.read(path)
        if record.run_id or not record.token:
            record = Mirrored(token=uuid.uuid4().hex)
            record.write(path)
        run_id = self.store.find(record.token) or self.store.create(name=name, token=record.token, started=started)
        record = replace(record, run_id=run_id)
        record.write(path)
        return record

    def _apply(self, new: Update, *, path: Path, before: Mirrored) -> None:
        run_id = before.run_id
        replace(before, dirty=True).write(path)
        self.store.log(run_id, points=new.points, params=new.params, tags=new.tags)
        for name, file in new.artifacts.items():
            self.store.log_artifact(run_id, name=name, path=file)
        if new.status:
            self.store.set_status(run_id, status=new.status, ended=new.ended)
        new.done.write(path)


def states_of(suite_dir: Path, *, keys: Sequence[str], known: Mapping[str, RunState]) -> dict[str, RunState]:
    """Return the states of the runs that were submitted at least once, asking for those that are not known."""
    asked = [key for key in keys if key not in known]
    jobs = {key: job for key in asked if (job := newest_job(suite_dir / key)) is not None}
    seen_jobs = observe(jobs.values(), launcher=choose("local")) if jobs else {}
    now = time.time()
    own = {
        key: known.get(key)
        or run_state(suite_dir / key, now=now, job_state=_job_state(jobs.get(key), states=seen_jobs))
        for key in keys
    }
    begun = [key for key in keys if RunDir(suite_dir / key).run.exists()]
    needs = {key: Run.of(suite_dir / key).depends_on for key in begun if key in asked}
    found = with_dependencies(own, depends_on=needs)
    return {key: found[key] for key in begun if found[key].attempt}


def _job_state(job: Job | None, *, states: Mapping[str, JobState]) -> JobState:
    return states.get(job.job_id, JobState.UNKNOWN) if job and job.job_id else JobState.UNKNOWN


def _sweep_status(sweep: Sweep, *, states: Mapping[str, RunState], driver: Driving) -> str:
    """Say how the whole is doing: without a driver and a job, nothing of it runs, whatever is missing."""
    statuses = {states[key].status if key in states else "new" for key in sweep.keys}
    if statuses <= {"finished"}:
        return "FINISHED"
    if driver == "at work" or statuses & {*ACTIVE}:
        return "RUNNING"
    if sweep.parent and "finished" in statuses:
        return "FINISHED"  # a search: that trials end early or fail is its way
    return "FAILED" if statuses & {"failed", "diverged", "blocked"} else "KILLED"

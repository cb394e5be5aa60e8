"""Run directories: written once from the plan, before any job starts."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.kind import Config
from experiments.plan.fingerprint import digest
from experiments.plan.known import code_digest, first_scoring, trained_alike
from experiments.plan.planning import Data, PlannedRun, datasets_of, kind_of, settings
from experiments.plan.render import Keep, as_python, from_python, places_of, render
from experiments.plan.why import difference
from multimae.record.files import write_text
from multimae.record.paths import CheckpointDir, RunDir
from multimae.record.places import Places
from multimae.record.result import Acceptance, Result
from multimae.record.run import DataRead, Judged, Run
from multimae.record.sweep import Sweep


def prepare(planned: PlannedRun, *, suite_dir: Path, keep: Keep = "weights") -> Path:
    """Create a run's directory, or bring one that is there up to date with the plan.

    run.json is written last. A run whose code has changed since only comes here if that is of no meaning for it
    (`experiments.plan.known`); one that is scored by other code is opened again, to be scored from its weights.
    """
    files = RunDir(suite_dir / planned.key)
    recorded = Run.read(files.path)
    described = describe(planned)
    if recorded is not None and (recorded.digest, recorded.scoring) == (described.digest, described.scoring):
        _follow_places(planned, recorded=recorded, suite_dir=suite_dir, keep=keep)
        reopen_to_score(planned, suite_dir=suite_dir)
        return files.path
    if recorded is not None:
        _adopt(planned, recorded=recorded, suite_dir=suite_dir)
    files.path.mkdir(parents=True, exist_ok=True)
    _write_config(render(planned, keep=keep), folder=files.path)
    described.write(files.path)
    reopen_to_score(planned, suite_dir=suite_dir)
    return files.path


def _follow_places(planned: PlannedRun, *, recorded: Run, suite_dir: Path, keep: Keep) -> None:
    """Let config.py and run.json name the places of now, for whoever reads or runs them by hand.

    Jobs that wait are not disturbed: each start has its places of its own.
    """
    files, wanted, dataset = RunDir(suite_dir / planned.key), places_of(planned), describe(planned).dataset
    config = from_python(files.config.read_text("utf-8")) if files.config.exists() else None
    if config is None:
        _write_config(render(planned, keep=keep), folder=files.path)
    elif Places.of_config(config) != wanted:
        wanted.put_into(config)
        _write_config(config, folder=files.path)
    if recorded.dataset != dataset:
        replace(recorded, dataset=dataset).write(files.path)


def _write_config(config: Config, *, folder: Path) -> None:
    title = f"{folder.name}: run again with `python -m multimae.train {folder.name}`."
    write_text(RunDir(folder).config, as_python(config, title=title))


def _adopt(planned: PlannedRun, *, recorded: Run, suite_dir: Path) -> None:
    """Note in the result of a run that other code has trained why it stands."""
    folder = suite_dir / planned.key
    result = Result.read(folder)
    if result is None:
        return
    code, changes = recorded.digest.get("code", {}), []
    if recorded.schema == 1:
        # The last release of schema 1 scores as the first one after it.
        result = replace(result, kind=planned.run.task.kind, scoring=first_scoring(planned.scoring))
        if not trained_alike(code, planned.parts["code"]):
            changes = ["code: that of a release which wrote schema 1"]
    else:
        changes = difference({"code": planned.parts["code"]}, {"code": code})
    if changes:
        accepted = Acceptance(code=code_digest(planned.parts), changes=tuple(changes), time=time.time())
        result = replace(result, accepted=(*result.accepted, accepted))
    if result != Result.read(folder):
        result.write(folder)


def reopen_to_score(planned: PlannedRun, *, suite_dir: Path) -> None:
    """Put the result of a finished run aside whose scores come from other code, if its weights are there to score."""
    folder = suite_dir / planned.key
    if standing_of_scores(planned, suite_dir=suite_dir) != "outdated":
        return
    result, files = Result.read(folder), RunDir(folder)
    assert result is not None
    files.earlier_scores.mkdir(exist_ok=True)
    files.result.replace(files.earlier_scores / f"{digest(result.scoring)[:8]}.json")


def standing_of_scores(planned: PlannedRun, *, suite_dir: Path) -> Literal["absent", "current", "outdated", "lost"]:
    """Say whether a run's scores come from the code of now; `lost`: they do not, and no weights were kept."""
    folder = suite_dir / planned.key
    result = Result.read(folder)
    if result is None:
        return "absent"
    scored_by = result.scoring
    if result.schema == 1:
        scored_by = first_scoring(planned.scoring)
    if scored_by == planned.scoring:
        return "current"
    remembers = kind_of(planned.run).fit(planned.run.recipe) == "neighbours"
    weights = CheckpointDir(RunDir(folder).checkpoints).last.exists()
    return "outdated" if weights or remembers else "lost"


def describe(planned: PlannedRun) -> Run:
    """Return the run.json of a run."""
    run, data = planned.run, planned.data
    return Run(
        key=planned.key,
        suite=run.suite,
        kind=run.task.kind,
        task=run.task.name,
        checkpoint=run.checkpoint,
        inputs=run.inputs,
        seed=run.seed,
        size=run.size,
        profile=run.profile,
        dataset=DataRead(name=data.name, root=str(data.root), fingerprint=data.fingerprint, folders=data.folders),
        depends_on=planned.depends_on,
        primary=Judged(metric=run.task.primary.metric, protocol=run.task.primary.protocol),
        settings=settings(run),
        digest=planned.parts,
        scoring=planned.scoring,
    )


def _facts_of(data: Data) -> dict[str, Any]:
    """Say of a data set what its report does, which may not know it: a suite can describe its own."""
    facts = {"num_train": data.num_train, "num_test": data.num_test, "folder": data.root.name}
    invalid = list(data.spec.invalid_depth)
    return {**facts, "invalid_depth": invalid} if invalid else facts


def sweep_of(
    plan: Sequence[PlannedRun],
    *,
    title: str,
    command: Sequence[str],
    created: float,
    parent: str = "",
    source: Path | None = None,
) -> Sweep:
    """Say which runs a suite consists of now; older run directories stay but are no part of its table.

    `parent` names what tracking keeps the runs under, for a search, whose runs become more; `source` is the file that
    describes the suite, None of one that ships.
    """
    first = plan[0].run
    read = datasets_of(plan)
    return Sweep(
        suite=first.suite,
        title=title,
        dataset="+".join(read),
        datasets={name: _facts_of(data) for name, data in read.items()},
        profile=first.profile,
        size=first.size,
        command=tuple(command),
        keys=tuple(planned.key for planned in plan),
        parent=parent,
        source=str(source) if source else "",
        created=created,
    )

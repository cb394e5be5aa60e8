"""Run directories: written once from the plan, before any job starts."""

from collections.abc import Sequence
from pathlib import Path

from experiments.plan.planning import PlannedRun, datasets_of, difference, settings
from experiments.plan.render import as_python, render
from multimae.record.files import write_text
from multimae.record.paths import RunDir
from multimae.record.run import DataRead, Judged, Run
from multimae.record.sweep import Sweep


def prepare(planned: PlannedRun, *, suite_dir: Path) -> Path:
    """Create a run's directory with config.py and run.json; run.json is written last and never again."""
    files = RunDir(suite_dir / planned.key)
    if files.run.exists():
        return files.path
    files.path.mkdir(parents=True, exist_ok=True)
    config = render(planned)
    title = f"{planned.key}: run again with `python -m multimae.train {planned.key}`."
    write_text(files.config, as_python(config, title=title))
    describe(planned).write(files.path)
    return files.path


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
        dataset=DataRead(name=data.name, root=str(data.root), fingerprint=data.fingerprint),
        depends_on=planned.depends_on,
        primary=Judged(metric=run.task.primary.metric, protocol=run.task.primary.protocol),
        settings=settings(run),
        digest=planned.parts,
    )


def sweep_of(
    plan: Sequence[PlannedRun], *, title: str, command: Sequence[str], created: float, parent: str = ""
) -> Sweep:
    """Say which runs a suite consists of now; older run directories stay but are no part of its table.

    `parent` names what tracking keeps the runs under, for a search, whose runs become more.
    """
    first = plan[0].run
    read = datasets_of(plan)
    return Sweep(
        suite=first.suite,
        title=title,
        dataset="+".join(read),
        datasets={
            name: {"num_train": data.num_train, "num_test": data.num_test, "folder": data.root.name}
            for name, data in read.items()
        },
        profile=first.profile,
        size=first.size,
        command=tuple(command),
        keys=tuple(planned.key for planned in plan),
        parent=parent,
        created=created,
    )


def why_new(planned: PlannedRun, *, suite_dir: Path) -> list[str]:
    """Name the exact keys that make a run new, against the most recent run of the same name."""
    recorded = [run for path in suite_dir.glob(f"{planned.run.name}-????????") if (run := Run.read(path)) is not None]
    if not recorded:
        return ["no run of this name yet"]
    changes = [difference(planned.parts, run.digest) for run in recorded]
    return min(changes, key=len)

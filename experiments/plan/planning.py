"""From runs to a plan: each run's key, what the key covers, and why a run is new."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.kind import Config, Setup, TaskKind
from benchmarks.kinds import kind
from benchmarks.recipes import Recipe
from experiments.plan.fingerprint import Code, code_of, digest, environment
from experiments.plan.folders import require_folder_name
from experiments.plan.patches import check_patches
from experiments.plan.suite import SuiteRun
from multimae.data.spec import DatasetSpec, spec
from multimae.record.run import PROTOCOL
from multimae.tables.sizes import SIZES

ENTRY_POINT = "multimae.engine.job"
Parts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data set a run reads: where it lies and what its files are.

    `num_val` 0 means that validation is held out of the training split, `num_labels` 0 that samples have no classes.
    `folders` are those of modalities that the fingerprint covers.
    `described` is a data set that the suite describes itself.
    """

    name: str
    described: DatasetSpec | None = None
    root: Path
    fingerprint: str
    num_train: int
    num_test: int
    num_val: int = 0
    num_labels: int = 0
    folders: tuple[str, ...] = ()

    @property
    def spec(self) -> DatasetSpec:
        """The data set's facts, the suite's own or the library's."""
        return self.described or spec(self.name)

    @property
    def for_jobs(self) -> str | dict[str, Any]:
        """What a job's config calls the data set: its name, or all of its facts where the suite describes it."""
        return self.name if self.described is None else asdict(self.described)


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run with its data and identity: `parts` lists everything the digest in its key covers.

    `scoring` is the code and the protocols that score it, which the key does not cover. `start`: the file of weights it
    starts from, relative to its folder, where that is not of a run it `depends_on`.
    """

    run: SuiteRun
    data: Data
    key: str
    parts: Parts
    scoring: Mapping[str, str]
    depends_on: tuple[str, ...]
    start: str | None = None


def new_key(name: str, parts: Parts) -> str:
    """Return the key of a run that is in no folder yet: its name and a digest of its parts."""
    return f"{name}-{digest(parts)[:8]}"


def make_plan(
    runs: Sequence[SuiteRun], *, data: Mapping[str, Data], key_of: Callable[[str, Parts], str] = new_key
) -> tuple[PlannedRun, ...]:
    """Give every run its data and its key; `data` is by the name of the data set that a run asks for.

    A run that starts from a pre-training depends on the pre-training's own key. `key_of` returns a run's key, given its
    name and parts; it may know folders whose runs are the same under another key (`experiments.plan.known`).
    """
    plan: list[PlannedRun] = []
    pretrainings: dict[str, PlannedRun] = {}
    for run in runs:
        check_patches(run, scope=kind_of(run).scope)
        source = pretrainings.get(run.checkpoint)
        code = _code(run, data=data[run.dataset_name])
        parts = _parts(run, code=code, data=data[run.dataset_name], source=source)
        planned = PlannedRun(
            run=run,
            data=data[run.dataset_name],
            key=key_of(require_folder_name("run", run.name), parts),
            parts=parts,
            scoring={**code.scoring, **_protocols(run, data=data[run.dataset_name])},
            depends_on=(source.key,) if source else (),
        )
        plan.append(planned)
        if run.provides:
            pretrainings[run.provides] = planned
    return tuple(plan)


def datasets_of(plan: Sequence[PlannedRun]) -> dict[str, Data]:
    """Return the data sets that the runs read, by name."""
    return {planned.data.name: planned.data for planned in plan}


def kind_of(run: SuiteRun) -> TaskKind[Any]:
    """Return what the driver knows of a run's kind of task."""
    return kind(run.task.kind)


def setup_of(run: SuiteRun, *, data: Data) -> Setup[Any]:
    """Gather what the config of a run depends on."""
    return Setup(
        recipe=run.recipe,
        size=SIZES[run.size],
        inputs=run.inputs,
        outputs=run.outputs,
        target=run.task.target,
        head=run.task.head,
        head_settings=run.task.head_settings,
        loss=run.task.loss,
        dataset=data.spec,
        num_labels=data.num_labels,
        patch_size=run.patch_size,
    )


def common_of(run: SuiteRun) -> Config:
    """Return what every pipeline of a run takes."""
    return {"inputs": list(run.inputs), "size": run.recipe.input_size}


def modules_of(run: SuiteRun, *, data: Data) -> tuple[str, ...]:
    """Name the modules a job of this run imports by name; what those import follows from them."""
    return (*training_modules(run, data=data), *scoring_modules(run))


def training_modules(run: SuiteRun, *, data: Data) -> tuple[str, ...]:
    """Name the modules that a run's training needs: its model, its pipelines, its data set's facts, the optimizer."""
    head = kind_of(run).head_of(run.task.head, recipe=run.recipe)
    return (
        *kind_of(run).modules,
        *((f"multimae.heads.{head}",) if head else ()),
        "multimae.data.folder",
        *(() if data.described else (f"multimae.data.sets.{data.name}",)),
        "multimae.engine.optim",
    )


def scoring_modules(run: SuiteRun) -> tuple[str, ...]:
    """Name the modules that score and draw what a run predicts: its kind's half that jobs import."""
    return (f"multimae.kinds.{run.task.kind}",)


def modalities_of(run: SuiteRun) -> tuple[str, ...]:
    """Name the modalities whose files a run reads."""
    truths = kind_of(run).truths(inputs=run.inputs, outputs=run.outputs, target=run.task.target)
    return tuple(dict.fromkeys((*run.inputs, *truths)))


def _code(run: SuiteRun, *, data: Data) -> Code:
    """Return the code that trains and that scores a run; scores decide on weights where some are selected by them."""
    scores_train = kind_of(run).selection(run.recipe) != "last" or run.judged_on != "test"
    return code_of((ENTRY_POINT, *modules_of(run, data=data)), scores_train=scores_train)


def _protocols(run: SuiteRun, *, data: Data) -> dict[str, str]:
    """Return a digest of what each protocol does on the test split: how samples are shown, and what scores them."""
    if run.judged_on != "test":
        return {}
    setup, kind_ = setup_of(run, data=data), kind_of(run)
    does = {
        protocol: [
            kind_.evaluation(setup, common=common_of(run), protocol=protocol),
            kind_.evaluator(data.spec, protocol=protocol),
        ]
        for protocol in run.task.protocols
    }
    return {f"{PROTOCOL}{protocol}": digest(config)[:8] for protocol, config in does.items()}


def _parts(run: SuiteRun, *, code: Code, data: Data, source: PlannedRun | None) -> dict[str, dict[str, Any]]:
    return {
        "config": settings(run),
        "code": dict(code.training),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            **({"described": digest(asdict(data.described))} if data.described else {}),
        },
        "checkpoint": _start_of(run, source=source),
        "environment": dict(environment()),
    }


def _start_of(run: SuiteRun, *, source: PlannedRun | None) -> dict[str, str]:
    if source:
        return {source.run.task.name: source.key}
    return {run.weights.name: run.weights.identity} if run.weights else {}


def settings(run: SuiteRun) -> dict[str, Any]:
    """Flatten what was chosen for a run; a recipe field at its default is left out, so new fields rename nothing."""
    size = {f"size.{name}": _plain(value) for name, value in asdict(SIZES[run.size]).items()}
    return {
        "task": run.task.name,
        **({"target": run.task.target} if run.task.target else {}),
        "head": run.task.head,
        **{f"head.{name}": value for name, value in run.task.head_settings.items()},
        "loss": run.task.loss,
        "inputs": list(run.inputs),
        **({"outputs": list(run.outputs)} if run.outputs else {}),
        "seed": run.seed,
        **({"judged_on": run.judged_on, "rungs": list(run.rungs)} if run.judged_on != "test" else {}),
        **size,
        **{f"recipe.{name}": value for name, value in _differing(run.recipe).items()},
    }


def _plain(value: Any) -> Any:
    """Write a tuple as JSON will give it back, so that a recorded run compares equal to a planned one."""
    return list(value) if isinstance(value, tuple) else value


def _differing(recipe: Recipe) -> dict[str, Any]:
    values = {field.name: (getattr(recipe, field.name), field.default) for field in fields(recipe)}
    return {name: _plain(value) for name, (value, default) in values.items() if value != default}

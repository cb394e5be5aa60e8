"""A kind of task has two halves, and what scores one kind is no code of another."""

from pathlib import Path

import pytest
from mmengine.registry import Registry

from benchmarks import kinds
from experiments.plan.fingerprint import code_of
from multimae import kinds as job_kinds
from multimae.named import modules_in
from multimae.registry import EVALUATORS, TRANSFORMS

ROOT = Path(__file__).parents[2]
NAMES = modules_in(kinds.FOLDER)
METRICS = {
    "semseg": "segmentation",
    "depth": "depth",
    "classification": "classification",
    "regression": "regression",
    "pretraining": "reconstruction",
}


def test_every_kind_has_both_halves() -> None:
    assert NAMES == modules_in(job_kinds.FOLDER) == sorted(METRICS)
    for name in NAMES:
        assert kinds.kind(name).recipe
        assert callable(job_kinds.kind(name).scorer)


@pytest.mark.parametrize("found", [kinds.kind, job_kinds.kind])
def test_an_unknown_kind_names_the_nearest(found: object) -> None:
    with pytest.raises(ValueError, match="no kind of task 'regresion'; did you mean regression"):
        found("regresion")  # type: ignore[operator]


@pytest.mark.parametrize("name", NAMES)
def test_a_job_of_a_kind_imports_its_own_metric_alone(name: str) -> None:
    code = code_of(["multimae.train", f"multimae.kinds.{name}"])
    assert {module for module in METRICS.values() if f"multimae.evaluation.{module}" in code.scoring} == {METRICS[name]}
    assert {module for module in NAMES if f"multimae.data.pipelines.{module}" in code.training} == {name}


def test_drawing_is_no_part_of_a_digest() -> None:
    code = code_of(["multimae.train", "multimae.kinds.semseg"])
    assert not [module for module in (*code.training, *code.scoring) if module.startswith("multimae.pictures")]
    assert not [module for module in code.training if module.startswith("multimae.evaluation")]


@pytest.mark.parametrize("registry", [TRANSFORMS, EVALUATORS], ids=["TRANSFORMS", "EVALUATORS"])
def test_a_registry_knows_every_module_that_registers_in_it(registry: Registry) -> None:
    word = "@TRANSFORMS.register" if registry is TRANSFORMS else "@EVALUATORS.register"
    files = [path for path in (ROOT / "multimae").rglob("*.py") if word in path.read_text("utf-8")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    assert modules
    assert modules <= set(registry._locations)

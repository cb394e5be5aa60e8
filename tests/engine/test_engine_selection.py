"""Which weights are reported: the best on held-out images, exactly so after any interruption; the test set by name."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from experiments.plan.planning import Data, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import expand
from multimae.engine.failures import PreemptedError, SettingsError
from multimae.engine.job import execute
from multimae.engine.resume import load_checkpoint
from multimae.engine.selection import BestWeights, selection_of
from multimae.engine.signals import StopRequest
from multimae.evaluation.evaluate import Evaluations
from multimae.kinds import kind
from multimae.record.attempt import Attempt
from multimae.record.evaluation import Evaluation
from multimae.registry import MODELS
from tests.made.brief_suite import SUITE as BRIEF
from tests.made.tinydata import write_frames

pytestmark = pytest.mark.filterwarnings("default")  # mmengine and torch warn here


class StopInEvaluation(StopRequest):
    """A request that is noticed before batch `batch` of all evaluations together."""

    def __init__(self, *, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def check(self) -> None:
        self.batch -= 1
        if self.batch == 0:
            self.received = "SIGUSR2"
        super().check()


def linear(value: float) -> nn.Module:
    model = nn.Linear(2, 1)
    nn.init.constant_(model.weight, value)
    return model


def offered(metric: str, values: list[float]) -> BestWeights:
    best = BestWeights(metric=metric)
    for step, value in enumerate(values, start=1):
        best.offer(value, step=step, model=linear(step))
    return best


@pytest.mark.parametrize(
    ("metric", "values", "step"),
    [
        ("miou", [1.0, 3.0, 2.0], 2),
        ("rmse", [1.0, 0.5, 2.0], 2),
        ("miou", [math.nan, 1.0, math.nan], 2),
        ("rmse", [math.nan, 2.0, 3.0], 2),
        ("rmse", [-math.inf, 2.0, math.nan], 2),
        ("miou", [5.0, 5.0], 1),
        ("miou", [0.0, -1.0], 1),
    ],
)
def test_the_best_of_a_metric_s_direction_is_kept(metric: str, values: list[float], step: int) -> None:
    best = offered(metric, values)
    assert best.step == step
    model = linear(0)
    best.load_into(model)
    assert model.weight[0, 0] == step
    resumed = BestWeights(metric=metric)
    resumed.load_state_dict(best.state_dict())
    assert (resumed.step, resumed.value) == (best.step, best.value)
    resumed.offer(-1e9 if best.metric.higher_is_better else 1e9, step=9, model=linear(9))
    assert resumed.step == step


def test_nan_never_wins(tmp_path: Path) -> None:
    best = offered("miou", [math.nan, math.nan])
    model = linear(7)
    best.load_into(model)
    best.save(tmp_path)
    assert model.weight[0, 0] == 7
    assert not list(tmp_path.iterdir())


def test_later_training_does_not_change_what_was_kept() -> None:
    best, model = BestWeights(metric="miou"), linear(1)
    best.offer(1.0, step=1, model=model)
    nn.init.constant_(model.weight, 5)
    best.load_into(model)
    assert model.weight[0, 0] == 1


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"selection": "best", "validation": None}, "selection is 'best', wanted one of"),
        ({"selection": "validation", "validation": None}, "scored during training are of the split None"),
        ({"selection": "validation", "validation": {"split": "test"}}, "are of the split 'test'"),
        ({"selection": "test", "validation": {"split": "val"}}, "are of the split 'val'"),
        ({"selection": "test", "validation": {"split": "test"}, "fit": "neighbours"}, "the fit is neighbours"),
    ],
)
def test_a_selection_that_cannot_be_made_is_named(job: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        selection_of(ConfigDict({"fit": "gradient descent", **job}))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    root = write_frames(tmp_path_factory.mktemp("data"), num_train=8, num_test=2) / "nyuv2"
    return Data(name="nyuv2", root=root, fingerprint="0", num_train=8, num_test=2)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train on one thread and score held-out images by a hash of the weights, so that any step may be the best."""
    evaluate = Evaluations.run

    def run(self: Evaluations, model: Any, item: Any) -> Evaluation:
        found = evaluate(self, model, item)
        if item.split != "val":
            return found
        total = sum(parameter.double().abs().sum().item() for parameter in model.parameters())
        return replace(found, metrics={**found.metrics, "miou": 1e4 * total % 100})

    monkeypatch.setattr(Evaluations, "run", run)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_dir_of(data: Data, suite_dir: Path, **changes: Any) -> Path:
    """Prepare a run of some ten steps that validates at every second and saves at every third."""
    chosen = {"input_size": 64, "batch_size": 2, "epochs": 5, "val_ratio": 0.3, "cache": "none", **changes}
    recipes = {transfer.task.name: replace(transfer.task.recipes["cpu"], **chosen) for transfer in BRIEF.transfers}
    suite = replace(BRIEF, checkpoints=("scratch",))
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=suite.checkpoints)
    (planned, *_) = make_plan(runs, data={runs[0].dataset_name: data})
    run_dir = prepare(planned, suite_dir=suite_dir)
    config = (run_dir / "config.py").read_text()
    for name, value in (("checkpoint_interval", 3), ("validation_interval", 2)):
        config, count = re.subn(rf"'{name}': \d+", f"'{name}': {value}", config)
        assert count == 1
    (run_dir / "config.py").write_text(config)
    return run_dir


def finish(run_dir: Path, *, number: int = 1) -> dict[str, Any]:
    attempt = Attempt(run_dir=run_dir, number=number)
    attempt.start()
    execute(attempt, stop=StopRequest())
    result: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    return result


def interrupt(run_dir: Path, *, batch: int) -> None:
    attempt = Attempt(run_dir=run_dir, number=1)
    attempt.start()
    with pytest.raises(PreemptedError):
        execute(attempt, stop=StopInEvaluation(batch=batch))
    assert not (run_dir / "result.json").exists()


def validations(run_dir: Path) -> dict[int, float]:
    """Return the validation curve that the spools of all attempts hold."""
    lines = [line for spool in sorted((run_dir / "spool").iterdir()) for line in spool.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    return {event["step"]: event["values"]["val/miou"] for event in events if "val/miou" in event.get("values", {})}


def best_file(run_dir: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run_dir / "checkpoints" / "best.pth", weights_only=True)
    return state


def assert_same_weights(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.fixture(scope="module")
def whole(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_dir_of(data, tmp_path_factory.mktemp("whole"), selection="validation")


def whole_result(whole: Path) -> dict[str, Any]:
    """Return the result of an uninterrupted run, trained at the first call."""
    path = whole / "result.json"
    return json.loads(path.read_text()) if path.exists() else finish(whole)


def test_the_best_weights_on_held_out_images_are_reported(whole: Path) -> None:
    result, curve = whole_result(whole), validations(whole)
    step = max(curve, key=lambda step: curve[step])
    assert len(curve) >= 4
    assert result["selected"] == {"selection": "validation", "step": step, "metric": "miou", "value": curve[step]}
    assert {row["selection"] for row in result["rows"]} == {"validation"}
    assert {row["selection"] for row in result["baselines"]} == {"last"}
    assert result["notes"] == []
    state = best_file(whole)
    assert (state["step"], state["metric"], state["value"]) == (step, "miou", curve[step])
    last = load_checkpoint(whole / "checkpoints")
    assert last is not None
    assert_same_weights(last["best"]["model"], state["model"])
    assert step < last["step"]  # or the next line would show nothing
    assert not torch.equal(*(model["backbone.global_tokens"] for model in (last["model"], state["model"])))
    config = Config.fromfile(whole / "config.py")
    model = MODELS.build(config.model)
    model.load_state_dict(state["model"])
    evaluations = Evaluations(kind("semseg").scorer("semseg"), check=lambda: None)
    for item in config.job.evaluations:
        rows = {row["metric"]: row["value"] for row in result["rows"] if row["protocol"] == item.protocol}
        assert evaluations.run(model, item).metrics == rows


@pytest.mark.parametrize("batch", [2, 9])
def test_a_run_stopped_in_a_validation_chooses_as_an_uninterrupted_one(
    data: Data, whole: Path, tmp_path: Path, batch: int
) -> None:
    broken = run_dir_of(data, tmp_path, selection="validation")
    interrupt(broken, batch=batch)
    stopped = load_checkpoint(broken / "checkpoints")
    reached = max(validations(broken), default=0)
    assert stopped is None or stopped["best"]["step"] <= stopped["step"]
    expected, resumed = whole_result(whole), finish(broken, number=2)
    assert reached < max(validations(broken))
    assert resumed["selected"] == expected["selected"]
    assert resumed["rows"] == expected["rows"]
    assert_same_weights(best_file(broken)["model"], best_file(whole)["model"])
    ours, theirs = (load_checkpoint(run_dir / "checkpoints") for run_dir in (broken, whole))
    assert ours is not None
    assert theirs is not None
    assert_same_weights(ours["model"], theirs["model"])


@pytest.mark.parametrize("torn", ["best.pth", "last.pth"])
def test_a_torn_file_changes_nothing(data: Data, whole: Path, tmp_path: Path, torn: str) -> None:
    broken = run_dir_of(data, tmp_path, selection="validation")
    interrupt(broken, batch=13)  # in the last validation
    path = broken / "checkpoints" / torn
    path.write_bytes(path.read_bytes()[:500])
    assert finish(broken, number=2)["selected"] == whole_result(whole)["selected"]
    assert_same_weights(best_file(broken)["model"], best_file(whole)["model"])


def test_selection_on_the_test_set_says_so(data: Data, tmp_path: Path) -> None:
    run_dir = run_dir_of(data, tmp_path, selection="test", val_ratio=0.0)
    result = finish(run_dir)
    assert {row["selection"] for row in result["rows"]} == {"test"}
    (note,) = result["notes"]
    assert note.startswith(f"selected on the test set: the weights after step {result['selected']['step']}")
    (value,) = (row["value"] for row in result["rows"] if (row["protocol"], row["metric"]) == ("paper", "miou"))
    assert value == result["selected"]["value"]


def test_the_last_weights_are_reported_by_default(data: Data, tmp_path: Path) -> None:
    run_dir = run_dir_of(data, tmp_path)
    result = finish(run_dir)
    assert result["selected"] == {"selection": "last", "step": result["steps"]}
    assert not (run_dir / "checkpoints" / "best.pth").exists()
    state = load_checkpoint(run_dir / "checkpoints")
    assert state is not None
    assert "best" not in state

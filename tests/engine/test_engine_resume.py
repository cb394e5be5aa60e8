"""A training that was stopped and resumed ends where an uninterrupted one does, to the last bit on a CPU."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.plan.planning import Data, PlannedRun, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import expand
from multimae.engine.failures import PreemptedError
from multimae.engine.job import execute
from multimae.engine.resume import load_checkpoint, save_checkpoint
from multimae.engine.signals import StopRequest
from multimae.record.attempt import Attempt
from tests.made.brief_suite import SUITE as BRIEF
from tests.made.tinydata import write_frames

pytestmark = pytest.mark.filterwarnings("default")  # mmengine and torch warn here


class StopAfter(StopRequest):
    """A request that arrives while step `steps` runs."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @property
    def received(self) -> str | None:  # type: ignore[override]
        self.steps -= 1
        return "SIGUSR2" if self.steps < 0 else None


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planned_run(tmp_path: Path) -> PlannedRun:
    root = write_frames(tmp_path / "data", num_train=6, num_test=2) / "nyuv2"
    data = Data(name="nyuv2", root=root, fingerprint="0", num_train=6, num_test=2)
    suite = BRIEF
    short = {"input_size": 64, "batch_size": 2, "epochs": 4, "val_ratio": 0.0}
    recipes = {
        transfer.task.name: replace(transfer.task.recipes["cpu"], **short)  # type: ignore[arg-type]
        for transfer in suite.transfers
    }
    suite = replace(suite, checkpoints=("scratch",))
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=suite.checkpoints)
    (first, *_) = make_plan(runs, data={runs[0].dataset_name: data})
    return first


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    planned = planned_run(tmp_path)
    whole = prepare(planned, suite_dir=tmp_path / "whole", keep="all")
    attempt = Attempt(run_dir=whole, number=1)
    attempt.start()
    execute(attempt, stop=StopRequest())

    broken = prepare(planned, suite_dir=tmp_path / "broken", keep="all")
    first, second = (Attempt(run_dir=broken, number=number) for number in (1, 2))
    first.start()
    with pytest.raises(PreemptedError):
        execute(first, stop=StopAfter(5))
    stopped = load_checkpoint(broken / "checkpoints")
    assert stopped is not None
    assert stopped["step"] == 6
    assert not (broken / "result.json").exists()
    second.start()
    execute(second, stop=StopRequest())

    expected, resumed = (load_checkpoint(folder / "checkpoints") for folder in (whole, broken))
    assert expected is not None
    assert resumed is not None
    assert expected["step"] == resumed["step"] == 12
    for name, tensor in expected["model"].items():
        assert torch.equal(tensor, resumed["model"][name]), name
    for number, state in expected["optimizer"]["state"].items():
        assert torch.equal(state["exp_avg"], resumed["optimizer"]["state"][number]["exp_avg"])


def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "model": {"weight": torch.full((1000,), float(step))}})
    last = tmp_path / "last.pth"
    last.write_bytes(last.read_bytes()[:500])
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 1


def test_a_kill_between_the_renames_loses_no_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"step": 1})
    (tmp_path / "last.pth").rename(tmp_path / "previous.pth")
    save_checkpoint(tmp_path / "other", {"step": 2})
    (tmp_path / "other" / "last.pth").rename(tmp_path / "next.pth")
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 2

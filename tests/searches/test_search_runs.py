"""The trials of a search as runs: how often a run that fails is tried."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from optuna.trial import TrialState

from experiments import search
from experiments.drive.driver import Driver
from experiments.drive.work import Machine
from experiments.searches.loop import Budget, Search
from experiments.searches.planning import plan_search
from experiments.searches.study import open_study
from experiments.searches.trainings import RunTrainings
from multimae.record.job import JobState
from slurm.cluster import Resources
from tests.made.tinydata import write_frames
from tests.searches.test_search import words


class FailingLauncher:
    """Jobs that fail as soon as they are submitted."""

    name = "failing"
    has_queue = True

    def __init__(self) -> None:
        self.submitted: list[str] = []

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
        (attempt_dir / "exit.json").write_text(json.dumps({"kind": "error", "message": "no luck", "exit_code": 1}))
        self.submitted.append(name)
        return f"failing-{len(self.submitted)}"

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        return dict.fromkeys(ids, JobState.ENDED)

    def cancel(self, ids: Iterable[str]) -> None:
        """Do nothing: every job has ended."""

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        return {}


def test_a_failed_trial_is_trained_once_more_for_every_retry(tmp_path: Path) -> None:
    data = write_frames(tmp_path / "data", num_train=12, num_test=2)
    plan = plan_search(search.parser().parse_args(words(data, tmp_path / "runs")))
    record = open_study(
        tmp_path, name="s", storage=None, space=plan.space, objective=plan.objective, sampler="tpe", seed=0, settings={}
    )
    record.enqueue(plan.own_values, recipe=True)
    launcher = FailingLauncher()
    driver = Driver([], suite_dir=tmp_path / "runs", launcher=launcher, machine=Machine(cores=1))
    trainings = RunTrainings(plan, driver=driver)
    budget = Budget(trials=1, parallel=1, retries=2)
    searching = Search(record, trainings=trainings, pruner="asha", brackets=plan.brackets, budget=budget)
    for _ in range(10):
        if not searching.step():
            break
        trainings.submit()
    assert launcher.submitted == [plan.trial(plan.own_values).key] * 3
    assert [trial.state for trial in record.trials()] == [TrialState.FAIL] * 3
    assert record.trial(2).user_attrs["failed"] == "error: no luck"

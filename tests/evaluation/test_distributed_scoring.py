"""Scores of several processes are those of one: nothing counts twice, nothing is lost."""

import json
from pathlib import Path

import pytest
import torch.multiprocessing

from tests.made.scoring_cases import CASES, evaluate, score_as_rank
from tests.made.tinydata import write_frames

pytestmark = pytest.mark.filterwarnings("default")  # mmengine and torch warn here


def test_two_processes_score_three_images_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_frames(tmp_path / "data", num_train=2, num_test=3)
    monkeypatch.chdir(tmp_path)
    torch.multiprocessing.spawn(score_as_rank, args=(root, tmp_path), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    for kind, protocol in CASES:
        metrics, baseline, num_samples = first[f"{kind}/{protocol}"]
        alone = evaluate(root, kind=kind, protocol=protocol)
        # Counts are the same to the last bit; errors are added up in another order.
        tolerance = 0 if kind == "semseg" else 1e-12
        assert metrics == pytest.approx(dict(alone.metrics), rel=tolerance, abs=0)
        assert baseline == pytest.approx(dict(alone.baseline), rel=tolerance, abs=0)
        assert num_samples == alone.num_samples == 3
    assert first["padded"].startswith("4 samples were scored of a data set of 3: its sampler repeats some")
    assert not (tmp_path / ".dist_test").exists()

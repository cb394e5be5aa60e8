"""A row's number of images is the number of those that had something to score."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from multimae.engine.results import write_result
from multimae.evaluation.regression import RegressionMetric
from multimae.record.result import Result
from multimae.record.run import Run
from tests.made.scoring_cases import evaluate
from tests.made.tinydata import SIZE, write_frames

NUM_TEST, NUM_EMPTY = 5, 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five test frames, two of them without a label and without a valid depth: never measured, and not trusted."""
    root = write_frames(tmp_path_factory.mktemp("data"), num_train=2, num_test=NUM_TEST)
    test = root / "nyuv2/test"
    for modality, name, dtype in (
        ("depth", "1001", np.uint16),
        ("mask_valid", "1003", np.uint8),
        ("semseg", "1001", np.uint8),
        ("semseg", "1003", np.uint8),
    ):
        Image.fromarray(np.zeros(SIZE, dtype)).save(test / modality / "all" / f"{name}.png")
    return root


@pytest.mark.parametrize("protocol", ["paper", "standard"])
@pytest.mark.parametrize("kind", ["depth", "semseg"])
def test_images_without_anything_to_score_are_not_counted(root: Path, tmp_path: Path, kind: str, protocol: Any) -> None:
    found = evaluate(root, kind=kind, protocol=protocol, batch_size=2)
    assert found.num_samples == NUM_TEST
    run = Run(key="k", suite="s", kind=kind)
    write_result(tmp_path, run=run, evaluations=[found], predictions=(), num_params=1, steps=1, started=0.0)
    result = Result.read(tmp_path)
    assert result is not None
    assert {row.n for row in (*result.rows, *result.baselines)} == {NUM_TEST - NUM_EMPTY}


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_regressions_count_alike(protocol: Any) -> None:
    metric = RegressionMetric(protocol=protocol)
    valid = torch.ones(3, 1, 4, 4, dtype=torch.bool)
    valid[1] = False
    batch = {"inputs": {}, "targets": {"target": torch.rand(3, 2, 4, 4), "mask_valid": valid}, "meta": {}}
    metric.process(batch, list(torch.rand(3, 2, 4, 4)))
    metric.evaluate(3)
    assert metric.counted == 2
    metric.process(batch, list(torch.rand(3, 2, 4, 4)))
    metric.evaluate(3)
    assert metric.counted == 2, "counted anew at every evaluation"


def test_a_test_set_without_labels_is_no_diverged_model(root: Path, tmp_path: Path) -> None:
    unlabelled = shutil.copytree(root, tmp_path / "data")
    for path in (unlabelled / "nyuv2/test/semseg/all").iterdir():
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(path)
    with pytest.raises(ValueError, match="no image has a labelled pixel to score; look at the data set's labels"):
        evaluate(unlabelled, kind="semseg", protocol="standard")

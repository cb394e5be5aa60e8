"""Evaluations as configs describe them: which images, seen how, by how many workers."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.evaluate import Evaluations, PermutedSubset
from multimae.evaluation.scorer import predict
from multimae.evaluation.segmentation import SegmentationMetric
from multimae.kinds import kind
from tests.made.scoring_cases import evaluate, item_of, model_of
from tests.made.tinydata import write_frames

pytestmark = pytest.mark.filterwarnings("default")  # mmengine and torch warn here


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=2, num_test=7)


def test_few_images_are_those_of_the_reference_in_its_order(root: Path) -> None:
    described = item_of(root, kind="depth", protocol="paper").dataloader.dataset
    subset = PermutedSubset(dataset=described, num_images=3)
    np.random.seed(0)
    order = np.random.permutation(7)[:3]
    assert order.tolist() != sorted(order)
    assert [subset[index]["meta"]["name"] for index in range(3)] == [f"{1000 + number:04d}" for number in order]


def test_few_images_are_named_as_what_they_are(root: Path) -> None:
    few = evaluate(root, kind="depth", protocol="paper", batch_size=2, num_images=3)
    assert few.protocol == "paper"
    assert few.num_samples == 3
    assert few.note.startswith("test/paper: 3 of 7 images, the first of numpy's permutation with seed 0")
    everything = evaluate(root, kind="depth", protocol="paper", batch_size=2)
    assert (everything.num_samples, everything.note) == (7, "")
    assert everything.metrics != few.metrics
    # Batches are averaged, so that a batch of two weighs as much as one of one.
    single = evaluate(root, kind="depth", protocol="paper", batch_size=1, num_images=3)
    assert single.metrics["rmse"] != pytest.approx(few.metrics["rmse"], rel=1e-9)


def test_workers_change_nothing(root: Path) -> None:
    alone, helped = (
        evaluate(root, kind="semseg", protocol="standard", num_workers=number, num_images=2) for number in (0, 2)
    )
    assert alone == helped


def test_a_config_says_how_images_are_shown(root: Path) -> None:
    ways = {"inference": "slide", "flip": "average"}
    item = item_of(root, kind="depth", protocol="standard", **ways)
    batch = default_collate([MultiModalFolder(**{k: v for k, v in item.dataloader.dataset.items() if k != "type"})[0]])
    assert batch["inputs"]["rgb"].shape[-2:] == (64, 80)  # larger than the model's 64
    model = model_of("depth").eval()
    with torch.no_grad():
        shown = predict(model, batch, item=item, target="depth")[0]
        assert torch.equal(shown, model.predict(batch["inputs"], inference="slide", flip="average")[0])
    plain, chosen = (
        Evaluations(kind("depth").scorer("depth"), check=lambda: None).run(
            model, item_of(root, kind="depth", protocol="standard", **w)
        )
        for w in ({}, ways)
    )
    assert plain.metrics != chosen.metrics
    assert plain.baseline == chosen.baseline


def test_segmentation_keeps_no_predictions() -> None:
    torch.manual_seed(0)
    metric = SegmentationMetric(num_classes=20, protocol="standard")
    sizes = torch.tensor([[64, 64]]), torch.tensor([[96, 96]])
    batch = {
        "targets": {"semseg": torch.randint(0, 20, (1, 96, 96))},
        "meta": dict(zip(("content_hw", "original_hw"), sizes, strict=True)),
    }
    held = []
    for _ in range(3):
        metric.process(batch, [torch.randn(20, 64, 64)])
        held.append(len(pickle.dumps(vars(metric))))
    assert held[0] == held[2] < 10_000  # the labels of one image alone, in 8 bits, are 9216 bytes more than the counts

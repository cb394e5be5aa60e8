"""Metrics against the reference's numbers and ten-line numpy versions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from multimae.data.folder import MultiModalFolder
from multimae.data.sets.nyuv2 import SPEC
from multimae.evaluation.constants import ConstantPredictor
from multimae.evaluation.depth import DepthMetric, median_depth_mm
from multimae.evaluation.segmentation import SegmentationMetric, most_frequent_class, most_likely
from multimae.registry import EVALUATORS
from multimae.tables.metrics import METRICS
from multimae.tables.modalities import MODALITIES
from tests.made import tiny_dataset

CLASSES = 5


def numpy_segmentation(labels: np.ndarray, target: np.ndarray) -> dict[str, float]:
    labels, target = labels[target != 255], target[target != 255]
    ious, accuracies = [], []
    for index in range(CLASSES):
        ours, theirs = labels == index, target == index
        if (ours | theirs).any():
            ious.append((ours & theirs).sum() / (ours | theirs).sum())
        if theirs.any():
            accuracies.append((ours & theirs).sum() / theirs.sum())
    return {
        "miou": 100 * np.mean(ious),
        "macc": 100 * np.mean(accuracies),
        "aacc": 100 * (labels == target).mean(),
    }


def numpy_depth(prediction: np.ndarray, target: np.ndarray, *, log: str) -> dict[str, float]:
    ratio = np.maximum(prediction / target, target / prediction)
    scores = {f"delta{k}": 100 * (ratio < 1.25**k).mean() for k in (1, 2, 3)}
    scores["rel"] = np.mean(np.abs(prediction - target) / target)
    scores["srel"] = np.mean((prediction - target) ** 2 / target)
    scores["rmse"] = np.sqrt(np.mean((prediction - target) ** 2))
    if log == "log10":
        return {**scores, "log10": np.mean(np.abs(np.log10(prediction) - np.log10(target)))}
    return {**scores, "rmse_log": np.sqrt(np.mean((np.log(prediction) - np.log(target)) ** 2))}


def semseg_batch(*, size: tuple[int, int], content: tuple[int, int], original: tuple[int, int]) -> dict[str, Any]:
    # The last class never occurs, so that it is absent unless it is predicted.
    target = torch.randint(0, CLASSES - 1, (3, *size))
    target[torch.rand(target.shape) < 0.2] = 255
    meta = {"content_hw": torch.tensor([content] * 3), "original_hw": torch.tensor([original] * 3)}
    return {"inputs": {}, "targets": {"semseg": target}, "meta": meta}


def depth_batch(*, num: int, size: tuple[int, int]) -> dict[str, Any]:
    depth = (torch.rand(num, 1, *size) * 8000 + 500 - SPEC.depth_mean_mm) / SPEC.depth_std_mm
    return {"inputs": {}, "targets": {"depth": depth, "mask_valid": torch.rand(depth.shape) < 0.7}, "meta": {}}


def depth_metric(protocol: Any, **changes: Any) -> DepthMetric:
    settings = {"depth_mean_mm": SPEC.depth_mean_mm, "depth_std_mm": SPEC.depth_std_mm, "protocol": protocol}
    return DepthMetric(**{**settings, **changes})


def metres(depth: torch.Tensor) -> np.ndarray:
    return (depth.double().numpy() * SPEC.depth_std_mm + SPEC.depth_mean_mm) / 1000


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("absent", [True, False])
def test_paper_segmentation_equals_numpy(absent: bool) -> None:
    metric = SegmentationMetric(num_classes=CLASSES, protocol="paper")
    seen = []
    for _ in range(2):
        batch = semseg_batch(size=(16, 16), content=(12, 16), original=(48, 64))
        # A void class beyond `num_classes`, always the largest, must not win.
        logits = torch.cat([torch.randn(3, CLASSES, 16, 16), torch.full((3, 1, 16, 16), 99.0)], dim=1)
        logits[:, CLASSES - 1] -= 99 * absent
        metric.process(batch, list(logits))
        seen.append((logits[:, :CLASSES].argmax(1).numpy(), batch["targets"]["semseg"].numpy()))
    assert len(metric.results) == 1
    assert metric.results[0].shape == (CLASSES, CLASSES)
    expected = numpy_segmentation(*(np.concatenate(parts) for parts in zip(*seen, strict=True)))
    assert metric.evaluate(6) == pytest.approx(expected, rel=1e-9)


def test_standard_segmentation_scores_the_content_at_original_size() -> None:
    metric = SegmentationMetric(num_classes=CLASSES, protocol="standard")
    batch = semseg_batch(size=(45, 60), content=(12, 16), original=(45, 60))
    logits = torch.randn(3, CLASSES, 16, 16)
    logits[:, 0, 12:] = 99.0
    metric.process(batch, list(logits))
    labels = interpolate(logits[:, :, :12], size=(45, 60), mode="bilinear").argmax(1)
    expected = numpy_segmentation(labels.numpy(), batch["targets"]["semseg"].numpy())
    assert metric.evaluate(3) == pytest.approx(expected, rel=1e-9)


def test_segmentation_of_a_perfect_and_an_unlabelled_set() -> None:
    batch = semseg_batch(size=(8, 8), content=(8, 8), original=(8, 8))
    metric = SegmentationMetric(num_classes=CLASSES, protocol="paper")
    for target in batch["targets"]["semseg"]:
        metric.add(target.clamp(max=CLASSES - 1), target=target)
    assert metric.evaluate(3) == {"miou": 100.0, "macc": 100.0, "aacc": 100.0}
    metric.add(torch.zeros(2, 2, dtype=torch.long), target=torch.full((2, 2), 255))
    with pytest.raises(ValueError, match="no image has a labelled pixel to score"):
        metric.evaluate(1)


@pytest.mark.parametrize("size", [None, (45, 60), (8, 8)])
def test_the_most_likely_class_is_that_of_all_logits_at_once(size: tuple[int, int] | None) -> None:
    logits = torch.randn(30, 16, 24)
    if size is None:
        logits = logits.round()  # many ties: the first wins
    answer = most_likely(logits, size=size)
    resized = logits if size is None else interpolate(logits[None], size=size, mode="bilinear")[0]
    assert torch.equal(answer.labels, resized.argmax(0))
    torch.testing.assert_close(answer.logits, resized.amax(0))
    logits[[0, 7], 3, 4] = torch.nan
    assert most_likely(logits, size=size).logits.isnan().any()


def test_samples_that_were_scored_twice_are_an_error() -> None:
    metric = SegmentationMetric(num_classes=CLASSES, protocol="paper")
    batch = semseg_batch(size=(8, 8), content=(8, 8), original=(8, 8))
    metric.process(batch, list(torch.randn(3, CLASSES, 8, 8)))
    with pytest.raises(ValueError, match="3 samples were scored of a data set of 2: its sampler repeats some"):
        metric.evaluate(2)
    metric.process(batch, list(torch.randn(3, CLASSES, 8, 8)))
    assert metric.evaluate(3).keys() == {"miou", "macc", "aacc"}


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_a_diverged_model_has_no_score(protocol: Any) -> None:
    batch = semseg_batch(size=(8, 8), content=(8, 8), original=(8, 8))
    logits = torch.randn(3, CLASSES, 8, 8)
    logits[1, 2, 3, 4] = torch.nan
    segmentation, depth = SegmentationMetric(num_classes=CLASSES, protocol=protocol), depth_metric(protocol)
    segmentation.process(batch, list(logits))
    assert all(np.isnan(value) for value in segmentation.evaluate(3).values())
    depth.process(depth_batch(num=1, size=(8, 8)), [torch.full((1, 8, 8), torch.nan)])
    assert all(np.isnan(value) for value in depth.evaluate(1).values())


def test_paper_depth_pools_a_batch_and_averages_batches() -> None:
    metric = depth_metric("paper")
    expected = []
    for num in (3, 1):
        batch = depth_batch(num=num, size=(10, 12))
        prediction = batch["targets"]["depth"] + 0.1 * torch.rand(num, 1, 10, 12)
        metric.process(batch, list(prediction))
        valid = batch["targets"]["mask_valid"].numpy()
        expected.append(
            numpy_depth(metres(prediction)[valid], metres(batch["targets"]["depth"])[valid], log="rmse_log")
        )
    averaged = {name: np.mean([scores[name] for scores in expected]) for name in expected[0]}
    assert metric.evaluate(4) == pytest.approx(averaged, rel=1e-6)


def test_standard_depth_scores_images_inside_the_crop() -> None:
    metric = depth_metric("standard", max_depth_m=6.0, eval_crop=(2, 27, 3, 36))
    batch = depth_batch(num=3, size=(30, 40))
    prediction = torch.randn(3, 1, 12, 16) * 2
    metric.process(batch, list(prediction))
    resized = metres(interpolate(prediction, size=(30, 40), mode="bilinear")).clip(1e-3, 6.0)
    target = metres(batch["targets"]["depth"])
    counted = batch["targets"]["mask_valid"].numpy() & (target <= 6.0)
    inside = np.zeros((30, 40), dtype=bool)
    inside[2:27, 3:36] = True
    scores = [
        numpy_depth(ours[kept & inside], theirs[kept & inside], log="log10")
        for ours, theirs, kept in zip(resized, target, counted, strict=True)
    ]
    averaged = {name: np.mean([score[name] for score in scores]) for name in scores[0]}
    assert metric.evaluate(3) == pytest.approx(averaged, rel=1e-5)


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_depth_without_valid_pixels_counts_for_nothing(protocol: Any) -> None:
    metric = depth_metric(protocol)
    good, empty = depth_batch(num=1, size=(8, 8)), depth_batch(num=1, size=(8, 8))
    empty["targets"]["mask_valid"][:] = False
    for batch in (good, empty):
        metric.process(batch, list(batch["targets"]["depth"]))
    scores = metric.evaluate(2)
    assert scores["delta1"] == 100
    assert scores["rmse"] == pytest.approx(0, abs=1e-9)


def test_mistakes_are_named() -> None:
    batch = semseg_batch(size=(45, 60), content=(12, 16), original=(45, 60))
    small = list(torch.zeros(3, CLASSES, 8, 8))
    with pytest.raises(ValueError, match=r"prediction is \(8, 8\), target \(45, 60\); is the data's protocol 'paper'"):
        SegmentationMetric(num_classes=CLASSES, protocol="paper").process(batch, small)
    with pytest.raises(ValueError, match="content of 12x16 does not fit into logits"):
        SegmentationMetric(num_classes=CLASSES, protocol="standard").process(batch, small)
    batch = depth_batch(num=1, size=(8, 8))
    with pytest.raises(ValueError, match=r"prediction is \(4, 4\), target \(8, 8\)"):
        depth_metric("paper").process(batch, list(torch.zeros(1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"eval_crop \(44, 470, 40, 600\) .* does not fit into 8x8"):
        depth_metric("standard", eval_crop=SPEC.eval_crop).process(batch, list(torch.zeros(1, 1, 4, 4)))


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_names_are_known_and_metrics_built_by_name(protocol: Any) -> None:
    depth = EVALUATORS.build(
        {"type": "multimae.DepthMetric", "depth_mean_mm": 2000.0, "depth_std_mm": 500.0, "protocol": protocol}
    )
    depth.process(batch := depth_batch(num=1, size=(4, 4)), list(batch["targets"]["depth"]))
    semseg = EVALUATORS.build({"type": "multimae.SegmentationMetric", "num_classes": 2, "protocol": protocol})
    semseg.add(torch.zeros(2, 2, dtype=torch.long), target=torch.zeros(2, 2, dtype=torch.long))
    assert (depth.evaluate(1).keys() | semseg.evaluate(1).keys()) <= METRICS.keys()
    assert {f"loss_{name}" for name in MODALITIES} <= METRICS.keys()  # a pre-training may predict any


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny_dataset.write(tmp_path)
    for path in (tmp_path / "nyuv2" / "train" / "semseg" / "all").iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[:, :40], labels[:, 40:] = 0, 3
        labels[:2, 40:] = 7
        Image.fromarray(labels).save(path)
    return tmp_path


def folder(root: Path, *, split: Any, task: str, protocol: Any) -> MultiModalFolder:
    pipeline = {"type": f"multimae.{task}Evaluation", "inputs": ["rgb"], "size": 32, "protocol": protocol}
    modalities = ["rgb", "depth", "semseg"]
    return MultiModalFolder(root=root, dataset="nyuv2", split=split, modalities=modalities, pipeline=pipeline)


def test_constants_of_the_training_set(root: Path) -> None:
    train = folder(root, split="train", task="Semseg", protocol="paper")
    assert most_frequent_class(train) == 2
    assert median_depth_mm(train) == pytest.approx(np.median(tiny_dataset.maps()["depth"]), abs=100)


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_constant_class_is_scored_like_a_model(root: Path, protocol: Any) -> None:
    train, test = (folder(root, split=part, task="Semseg", protocol=protocol) for part in ("train", "test"))
    loader = DataLoader(test, batch_size=2)
    fresh = SegmentationMetric(num_classes=40, protocol=protocol)
    constant = ConstantPredictor(fresh, constant=float(most_frequent_class(train)))
    for batch in loader:
        constant.process(batch)
    scores = constant.evaluate(3)
    metric = SegmentationMetric(num_classes=40, protocol=protocol)
    for batch in loader:
        logits = torch.nn.functional.one_hot(torch.tensor(2), 40).float()[:, None, None].expand(40, 32, 32)
        metric.process(batch, [logits] * len(batch["meta"]["name"]))
    assert scores == metric.evaluate(3)
    assert 0 < scores["aacc"] < 10


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_constant_depth_is_scored_like_a_model(root: Path, protocol: Any) -> None:
    train, test = (folder(root, split=part, task="Depth", protocol=protocol) for part in ("train", "test"))
    loader = DataLoader(test, batch_size=2)
    predictor = ConstantPredictor(depth_metric(protocol), constant=median_depth_mm(train))
    for batch in loader:
        predictor.process(batch)
    scores = predictor.evaluate(3)
    metric = depth_metric(protocol)
    constant = (median_depth_mm(train) - SPEC.depth_mean_mm) / SPEC.depth_std_mm
    for batch in loader:
        metric.process(batch, [torch.full((1, 32, 32), constant)] * len(batch["meta"]["name"]))
    assert scores == pytest.approx(metric.evaluate(3), rel=1e-6)
    assert scores["delta3"] > 80

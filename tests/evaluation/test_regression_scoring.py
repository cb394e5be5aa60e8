"""Regression of domains: the metric against numpy, its constant predictor, its loss, its pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from PIL import Image
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

import multimae.data.pipelines.regression  # noqa: F401  # registers the pipelines
from multimae.data.folder import MultiModalFolder
from multimae.evaluation.constants import ConstantPredictor
from multimae.evaluation.evaluate import Evaluations
from multimae.evaluation.regression import RegressionMetric, median_targets
from multimae.kinds import kind
from multimae.record.spool import Spool
from multimae.registry import EVALUATORS
from multimae.tables.metrics import METRICS
from multimae.transfer import LOSSES, MultiMAETransfer

TARGETS = {"principal_curvature": 2, "keypoints3d": 1, "normal": 3, "depth_zbuffer": 1}
SIZE = (48, 64)
Protocols = pytest.mark.parametrize("protocol", ["paper", "standard"])


def batch_of(*, num: int, size: tuple[int, int], channels: int = 2) -> dict[str, Any]:
    targets = {"target": torch.rand(num, channels, *size), "mask_valid": torch.rand(num, 1, *size) < 0.6}
    return {"inputs": {}, "targets": targets, "meta": {}}


def numpy_l1(prediction: np.ndarray, batch: dict[str, Any], *, image: slice | int) -> float:
    target, valid = (batch["targets"][name].numpy()[image] for name in ("target", "mask_valid"))
    return float(np.abs(prediction[image].astype(np.float64) - target)[np.broadcast_to(valid, target.shape)].mean())


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_paper_pools_a_batch_and_averages_batches() -> None:
    metric = RegressionMetric(protocol="paper")
    expected = []
    for num in (3, 1):
        batch, prediction = batch_of(num=num, size=(10, 12)), torch.rand(num, 2, 10, 12)
        batch["targets"]["mask_valid"][0, :, :8] = False  # images weigh as many pixels as they have
        metric.process(batch, list(prediction))
        expected.append(numpy_l1(prediction.numpy(), batch, image=slice(None)))
    assert metric.evaluate(4) == pytest.approx({"l1": np.mean(expected)}, rel=1e-9)


def test_standard_scores_images_at_original_size() -> None:
    metric = RegressionMetric(protocol="standard")
    batch, prediction = batch_of(num=3, size=(30, 40)), torch.rand(3, 2, 16, 32)
    batch["targets"]["mask_valid"][0, :, :20] = False
    metric.process(batch, list(prediction))
    resized = interpolate(prediction, size=(30, 40), mode="bilinear").numpy()
    expected = np.mean([numpy_l1(resized, batch, image=image) for image in range(3)])
    assert metric.evaluate(3) == pytest.approx({"l1": expected}, rel=1e-6)


@Protocols
def test_what_is_invalid_counts_for_nothing(protocol: Any) -> None:
    good, empty = batch_of(num=1, size=(8, 8)), batch_of(num=1, size=(8, 8))
    empty["targets"]["mask_valid"][:] = False
    metric = EVALUATORS.build({"type": "multimae.RegressionMetric", "protocol": protocol})
    for batch in (good, empty):
        worse = torch.where(batch["targets"]["mask_valid"], batch["targets"]["target"] + 0.25, 1e9)
        metric.process(batch, list(worse))
    scores = metric.evaluate(2)
    assert scores == pytest.approx({"l1": 0.25}, rel=1e-6)
    assert scores.keys() <= METRICS.keys()
    metric.process(empty, list(empty["targets"]["target"]))
    with pytest.raises(ValueError, match="no image has a valid pixel"):
        metric.evaluate(1)


@Protocols
def test_a_diverged_model_has_no_score(protocol: Any) -> None:
    metric = RegressionMetric(protocol=protocol)
    metric.process(batch_of(num=1, size=(8, 8)), [torch.full((2, 8, 8), torch.nan)])
    assert np.isnan(metric.evaluate(1)["l1"])


def test_another_size_than_the_target_s_is_named() -> None:
    with pytest.raises(ValueError, match=r"prediction is \(4, 4\), target \(8, 8\); is the data's protocol 'paper'"):
        RegressionMetric(protocol="paper").process(batch_of(num=1, size=(8, 8)), [torch.zeros(2, 4, 4)])


def test_the_loss_averages_over_valid_values_of_all_channels() -> None:
    batch, prediction = batch_of(num=2, size=(8, 8)), torch.rand(2, 2, 8, 8)
    loss = LOSSES["target_l1"](prediction, batch["targets"])
    assert loss.item() == pytest.approx(numpy_l1(prediction.numpy(), batch, image=slice(None)), rel=1e-5)
    with pytest.raises(ValueError, match="needs the target 'target'"):
        LOSSES["target_l1"](prediction, {"depth": prediction})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of noise with the domains of Taskonomy beside them, a corner invalid."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    valid = np.full(SIZE, 255, np.uint8)
    valid[:16, :16] = 0
    for split, names in (("train", range(6)), ("test", range(100, 103))):
        for name in names:
            maps = {
                "rgb": random.integers(0, 256, (*SIZE, 3)).astype(np.uint8),
                "mask_valid": valid,
                "principal_curvature": random.integers(100, 200, (*SIZE, 3)).astype(np.uint8),
                "normal": random.integers(1, 256, (*SIZE, 3)).astype(np.uint8),
                "keypoints3d": (random.random(SIZE) ** 4 * 65535).astype(np.uint16),
                "depth_zbuffer": random.integers(500, 9000, SIZE).astype(np.uint16),
            }
            for modality, array in maps.items():
                path = root / "nyuv2" / split / modality / "all" / f"{name:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    return root


def dataset(root: Path, *, target: str, split: str, protocol: str) -> dict[str, Any]:
    pipeline = {"type": "multimae.RegressionEvaluation", "inputs": ["rgb"], "target": target, "size": 32}
    return {
        "root": str(root),
        "dataset": "nyuv2",
        "split": split,
        "modalities": ["rgb", target, "mask_valid"],
        "pipeline": {**pipeline, "protocol": protocol},
    }


@Protocols
@pytest.mark.parametrize(("target", "channels"), TARGETS.items())
def test_the_constant_is_each_channel_s_median(root: Path, target: str, channels: int, protocol: str) -> None:
    train = MultiModalFolder(**dataset(root, target=target, split="train", protocol=protocol))
    examples = [train[index]["targets"] for index in range(len(train))]
    values = [example["target"][:, example["mask_valid"][0]] for example in examples]
    expected = np.median(np.concatenate([value.numpy() for value in values], axis=1), axis=1)
    medians = median_targets(train)
    assert medians.shape == (channels,)
    np.testing.assert_allclose(medians, expected, atol=0.5 / 255)  # halfway between two codes


@Protocols
def test_no_other_constant_scores_better(root: Path, protocol: Any) -> None:
    train = MultiModalFolder(**dataset(root, target="principal_curvature", split="train", protocol=protocol))
    levels = median_targets(train)
    scores = []
    for shift in (0.0, 0.05, -0.05):
        predictor = ConstantPredictor(RegressionMetric(protocol=protocol), constant=levels + shift)
        for batch in DataLoader(train, batch_size=2):
            predictor.process(batch)
        scores.append(predictor.evaluate(len(train))["l1"])
    assert scores[0] < min(scores[1:])


def model_of(channels: int) -> MultiMAETransfer:
    backbone = {"type": "multimae.MultiMAE", "modalities": ["rgb"], "image_size": 32}
    return MultiMAETransfer(
        backbone={**backbone, "dim": 16, "depth": 1, "num_heads": 2},
        head={"type": "multimae.ConvNeXtHead", "token_dim": 32, "depth": 1, "num_outputs": channels},
        loss="target_l1",
    )


@Protocols
def test_an_evaluation_scores_the_model_beside_the_constant(root: Path, protocol: str) -> None:
    described = dataset(root, target="principal_curvature", split="test", protocol=protocol)
    item = ConfigDict(
        split="test",
        protocol=protocol,
        dataloader={
            "dataset": {"type": "multimae.MultiModalFolder", **described},
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "mmengine.DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "mmengine.default_collate"},
        },
        evaluator={"type": "multimae.RegressionMetric", "protocol": protocol},
    )
    model = model_of(2)
    found = Evaluations(kind("regression").scorer("normal"), check=lambda: None).run(model, item)
    assert found.num_samples == 3
    # Codes from 100 to 199 of 255 are best guessed by their middle.
    assert found.baseline["l1"] == pytest.approx(25 / 255, rel=0.1)
    assert found.metrics["l1"] > found.baseline["l1"]


@Protocols
@pytest.mark.parametrize(("target", "channels"), TARGETS.items())
def test_predictions_are_drawn_beside_the_target(
    root: Path, tmp_path: Path, target: str, channels: int, protocol: str
) -> None:
    described = {"type": "multimae.MultiModalFolder", **dataset(root, target=target, split="test", protocol=protocol)}
    evaluation = {"split": "test", "protocol": protocol, "dataloader": {"dataset": described}}
    job = ConfigDict(kind="regression", target=target, evaluations=[evaluation])
    saved = kind("regression").draw(
        model_of(channels), job, artifacts=tmp_path / "artifacts", spool=Spool(tmp_path / "spool.jsonl")
    )
    assert [set(entry.images) for entry in saved] == [{"rgb", "target", "prediction"}] * 3
    height, width = {"paper": (32, 32), "standard": SIZE}[protocol]
    for what in ("target", "prediction"):
        with Image.open(tmp_path / saved[0].images[what]) as image:
            picture = np.asarray(image)
        assert picture.shape == (height, width, 3)
        corner = picture[: height // 3, : width // 4]
        assert (corner == 0).all() == (what == "target")  # what is not valid is black
        assert picture[height // 2 :].std() > 0

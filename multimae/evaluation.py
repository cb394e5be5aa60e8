"""Score predictions as the reference does (`paper`) and as the field does (`standard`); names are in `metrics.py`."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from multimae.data.decode import decode
from multimae.data.folder import MultiModalFolder
from multimae.registry import EVALUATORS
from multimae.shapes import Bool, Float, Int

Protocol = Literal["paper", "standard"]
Batch = dict[str, dict[str, Any]]

MIN_DEPTH_M = 1e-3
MIN_DENOMINATOR_MM = 1e-6


@EVALUATORS.register_module()
class SegmentationMetric(BaseMetric):  # type: ignore[misc]
    """Count a confusion matrix: `miou`, `macc` and `aacc` in percent.

    `paper` compares at the size of the model's input, padding ignored; `standard` cuts the padding off the logits,
    resizes them to the original resolution and compares there. Only the C x C counts are kept; NaN among the logits
    makes them, and with them every metric, NaN: the largest of nothing would look like a class.
    """

    default_prefix = ""
    results: list[Tensor]

    def __init__(self, *, num_classes: int, protocol: Protocol, **mmengine: Any) -> None:
        super().__init__(**mmengine)
        self.num_classes = num_classes
        self.protocol = protocol

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "classes height width"]]) -> None:
        """Add a batch; `data_samples` are logits, of which the first `num_classes` count."""
        contents, sizes = (data_batch["meta"][key].tolist() for key in ("content_hw", "original_hw"))
        for logits, target, content, size in zip(
            data_samples, data_batch["targets"]["semseg"], contents, sizes, strict=True
        ):
            scored = logits[: self.num_classes]
            if self.protocol == "standard":
                scored = _resize(_cut(scored, content), size)
            _check_same_size(scored, target, self.protocol)
            if scored.isnan().any():
                self._accumulate(torch.full((self.num_classes, self.num_classes), torch.nan))
            else:
                self.add(_argmax(scored), target=target.to(logits.device))

    def add(self, labels: Int[Tensor, "height width"], *, target: Int[Tensor, "height width"]) -> None:
        """Count the pixels of one image by target class (row) and predicted class (column)."""
        self._accumulate(confusion(labels, target=target, num_classes=self.num_classes))

    def _accumulate(self, counts: Tensor) -> None:
        counts = counts.cpu().double()
        self.results = [self.results[0] + counts if self.results else counts]

    def compute_metrics(self, results: list[Float[Tensor, "classes classes"]]) -> dict[str, float]:
        """Turn the summed counts into percentages; NaN where nothing was labelled."""
        counts = torch.stack(results).sum(dim=0)
        found, actual, predicted = counts.diag(), counts.sum(dim=1), counts.sum(dim=0)
        shares = {
            "miou": (found / (actual + predicted - found)).nanmean(),
            "macc": (found / actual).nanmean(),
            "aacc": found.sum() / actual.sum(),
        }
        return {name: 100 * share.item() for name, share in shares.items()}


class DepthPair(NamedTuple):
    """Hold predicted and true depth of the pixels that count."""

    prediction: Float[Tensor, " pixels"]
    target: Float[Tensor, " pixels"]


@EVALUATORS.register_module()
class DepthMetric(BaseMetric):  # type: ignore[misc]
    """Score depth given as (mm - `depth_mean_mm`) / `depth_std_mm`.

    `paper`: over the pooled valid pixels of each batch, batches averaged with equal weight, at the size of the model's
    input; `rmse_log` is what the reference prints as log10. `standard`: per image at original resolution inside
    `eval_crop` (top, bottom, left, right), predictions clamped to [1 mm, `max_depth_m`], targets beyond it left out,
    images averaged.
    """

    default_prefix = ""

    def __init__(
        self,
        *,
        depth_mean_mm: float,
        depth_std_mm: float,
        protocol: Protocol,
        max_depth_m: float = 10.0,
        eval_crop: Sequence[int] | None = None,
        **mmengine: Any,
    ) -> None:
        super().__init__(**mmengine)
        self.depth_mean_mm = depth_mean_mm
        self.depth_std_mm = depth_std_mm
        self.protocol = protocol
        self.max_depth_m = max_depth_m
        self.eval_crop = None if eval_crop is None else tuple(eval_crop)

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "1 height width"]]) -> None:
        """Add a batch of predictions; a batch (`paper`) or image (`standard`) without a valid pixel adds nothing."""
        targets = data_batch["targets"]
        if self.protocol == "paper":
            predictions = torch.stack(list(data_samples))
            _check_same_size(predictions, targets["depth"], self.protocol)
            scores = [self._pooled(predictions, target=targets["depth"], valid=targets["mask_valid"])]
        else:
            triples = zip(data_samples, targets["depth"], targets["mask_valid"], strict=True)
            scores = [self._per_image(prediction, target=target, valid=valid) for prediction, target, valid in triples]
        self.results += [score for score in scores if score]

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average batches or images with equal weight."""
        if not results:
            raise ValueError(f"no image has a pixel to score: all are invalid or outside eval_crop {self.eval_crop}")
        return {name: float(np.mean([score[name] for score in results])) for name in results[0]}

    def _pooled(
        self,
        prediction: Float[Tensor, "batch 1 height width"],
        *,
        target: Float[Tensor, "batch 1 height width"],
        valid: Bool[Tensor, "batch 1 height width"],
    ) -> dict[str, float]:
        pair = self._millimetres(prediction, target=target, valid=valid)
        return paper_depth_scores(pair.prediction, target=pair.target) if pair.target.numel() else {}

    def _per_image(
        self,
        prediction: Float[Tensor, "1 height width"],
        *,
        target: Float[Tensor, "1 original_height original_width"],
        valid: Bool[Tensor, "1 original_height original_width"],
    ) -> dict[str, float]:
        resized = _resize(prediction, target.shape[-2:])
        pair = self._millimetres(self._crop(resized), target=self._crop(target), valid=self._crop(valid))
        metres, actual = pair.prediction / 1000, pair.target / 1000
        counted = (actual > 0) & (actual <= self.max_depth_m)
        if not counted.any():
            return {}
        return standard_depth_scores(metres[counted].clamp(MIN_DEPTH_M, self.max_depth_m), target=actual[counted])

    def _millimetres(self, prediction: Tensor, *, target: Tensor, valid: Tensor) -> DepthPair:
        """Pick the valid pixels and undo the normalisation, in float64 so that sums are exact enough."""
        device = prediction.device
        picked = (values.to(device)[valid.to(device)].double() for values in (prediction, target))
        return DepthPair(*(values * self.depth_std_mm + self.depth_mean_mm for values in picked))

    def _crop(self, map_: Tensor) -> Tensor:
        if self.eval_crop is None:
            return map_
        top, bottom, left, right = self.eval_crop
        height, width = map_.shape[-2:]
        if bottom > height or right > width:
            raise ValueError(
                f"eval_crop {self.eval_crop} (top, bottom, left, right) does not fit into {height}x{width}; it is for "
                "original resolution: evaluate with store_size=None, or pass eval_crop=None"
            )
        return map_[..., top:bottom, left:right]


@EVALUATORS.register_module()
class ClassificationMetric(BaseMetric):  # type: ignore[misc]
    """Count how often the true class is the first (`top1`) or among the first five (`top5`), in percent.

    Both protocols are the same: one central crop. A sample with NaN among its logits makes the metric NaN.
    """

    default_prefix = ""

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "classes"]]) -> None:
        """Add a batch; `data_samples` are logits."""
        logits = torch.stack(list(data_samples)).float()
        labels = data_batch["targets"]["label"].to(logits.device)
        ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = (ranked == labels[:, None]).double()
        hits[logits.isnan().any(dim=1)] = torch.nan
        self.results += [{"top1": float(row[0]), "top5": float(row.sum())} for row in hits.cpu()]

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average over samples."""
        return {name: 100 * float(np.mean([result[name] for result in results])) for name in results[0]}


def confusion(
    labels: Int[Tensor, "height width"], *, target: Int[Tensor, "height width"], num_classes: int
) -> Int[Tensor, "classes classes"]:
    """Count pixels by target class (row) and predicted class (column), targets from `num_classes` on left out."""
    rows = target.clamp(max=num_classes)
    cells = torch.bincount((rows * num_classes + labels).flatten(), minlength=(num_classes + 1) * num_classes)
    return cells.view(num_classes + 1, num_classes)[:num_classes]


def paper_depth_scores(prediction: Float[Tensor, " pixels"], *, target: Float[Tensor, " pixels"]) -> dict[str, float]:
    """Score millimetres as the reference does, which keeps negative depth and only guards divisions and logarithms."""
    safe_prediction, safe_target = (depth.clamp(min=MIN_DENOMINATOR_MM) for depth in (prediction, target))
    difference = prediction - target
    return {
        **_deltas(torch.maximum(prediction / safe_target, target / safe_prediction)),
        "rel": (difference.abs() / safe_target).mean().item(),
        "srel": (difference.square() / safe_target).mean().item() / 1000,
        "rmse": difference.square().mean().sqrt().item() / 1000,
        "rmse_log": (safe_prediction.log() - safe_target.log()).square().mean().sqrt().item(),
    }


def standard_depth_scores(
    prediction: Float[Tensor, " pixels"], *, target: Float[Tensor, " pixels"]
) -> dict[str, float]:
    """Score positive depth in metres with the usual definitions (Eigen et al., NeurIPS 2014)."""
    difference = prediction - target
    return {
        **_deltas(torch.maximum(prediction / target, target / prediction)),
        "rel": (difference.abs() / target).mean().item(),
        "srel": (difference.square() / target).mean().item(),
        "rmse": difference.square().mean().sqrt().item(),
        "log10": (prediction.log10() - target.log10()).abs().mean().item(),
    }


class ConstantPredictor:
    """Say the same of every pixel: a class (0..C-1), or a depth in millimetres; or of every sample: scores of classes.

    The most frequent class or the median depth of the training images is the best that can be said without looking.
    `metric` must be fresh and of the protocol of the batches.
    """

    def __init__(
        self, metric: SegmentationMetric | DepthMetric | ClassificationMetric, *, constant: float | Tensor
    ) -> None:
        self.metric = metric
        self._constant = constant

    def process(self, batch: Batch) -> None:
        """Score the constant on a batch."""
        if isinstance(self._constant, Tensor):
            self.metric.process(batch, [self._constant] * len(batch["targets"]["label"]))
            return
        assert not isinstance(self.metric, ClassificationMetric)
        if isinstance(self.metric, SegmentationMetric):
            for target in batch["targets"]["semseg"]:
                self.metric.add(torch.full_like(target, int(self._constant)), target=target)
            return
        level = (self._constant - self.metric.depth_mean_mm) / self.metric.depth_std_mm
        self.metric.process(batch, list(torch.full_like(batch["targets"]["depth"], level)))

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the metrics over the `size` samples processed."""
        scores: dict[str, float] = self.metric.evaluate(size)
        return scores


def most_frequent_class(folder: MultiModalFolder) -> int:
    """Return the class (0..C-1) with the most pixels."""
    counts = _histogram(folder, modality="semseg", num_values=folder.spec.num_classes + 1)
    return int(counts[1:].argmax())


def median_depth_mm(folder: MultiModalFolder) -> float:
    """Return the median over all measured pixels, in millimetres."""
    counts = _histogram(folder, modality="depth", num_values=2**16)
    counts[0] = 0
    return float(np.searchsorted(counts.cumsum(), counts.sum() / 2))


def class_counts(folder: MultiModalFolder) -> Float[Tensor, "classes"]:
    """Count the samples of each class."""
    return torch.from_numpy(np.bincount(folder.numbers_of_classes(), minlength=len(folder.class_names))).float()


def _histogram(folder: MultiModalFolder, *, modality: str, num_values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    counts = np.zeros(num_values, dtype=np.int64)
    for files in folder.files:
        values = decode(files.paths[modality], modality=modality, spec=folder.spec)
        counts += np.bincount(values.ravel(), minlength=num_values)
    return counts


def _deltas(ratio: Float[Tensor, " pixels"]) -> dict[str, float]:
    # NaN is not below the threshold either, but a diverged model has no score rather than a bad one.
    nan = ratio.isnan()
    near = {f"delta{power}": (ratio < 1.25**power).double().masked_fill_(nan, torch.nan) for power in (1, 2, 3)}
    return {name: 100 * share.mean().item() for name, share in near.items()}


def _check_same_size(prediction: Tensor, target: Tensor, protocol: Protocol) -> None:
    ours, theirs = (tuple(map_.shape[-2:]) for map_ in (prediction, target))
    if ours != theirs:
        raise ValueError(f"prediction is {ours}, target {theirs}; is the data's protocol {protocol!r} too?")


def _cut(logits: Float[Tensor, "classes height width"], content: Sequence[int]) -> Tensor:
    height, width = content
    if height > logits.shape[-2] or width > logits.shape[-1]:
        raise ValueError(f"content of {height}x{width} does not fit into logits of {tuple(logits.shape)}")
    return logits[:, :height, :width]


def _resize(maps: Float[Tensor, "channels height width"], size: Sequence[int]) -> Tensor:
    # Channels last: torch interpolates forty classes at once, in half the time.
    batch = maps[None].float().contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.interpolate(batch, size=tuple(size), mode="bilinear")[0]


def _argmax(logits: Float[Tensor, "classes height width"]) -> Int[Tensor, "height width"]:
    if logits.device.type != "cpu":
        return logits.argmax(dim=0)
    # numpy's is several times faster than torch's where the classes of a pixel lie side by side.
    return torch.from_numpy(logits.permute(1, 2, 0).contiguous().numpy().argmax(axis=-1))

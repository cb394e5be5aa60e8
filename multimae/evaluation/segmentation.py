"""Semantic segmentation: one confusion matrix, whatever the number of images."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.constants import histogram
from multimae.evaluation.scoring import Batch, Protocol, Scoring, check_same_size, resize_map
from multimae.registry import EVALUATORS
from multimae.shapes import Float, Int


class PixelAnswer(NamedTuple):
    """Hold the most likely class of every pixel and its logit, NaN where any class's is."""

    labels: Int[Tensor, "height width"]
    logits: Float[Tensor, "height width"]


@EVALUATORS.register_module()
class SegmentationMetric(Scoring):
    """Count a confusion matrix: `miou`, `macc` and `aacc` in percent.

    `paper` compares at the size of the model's input, padding ignored; `standard` cuts the padding off the logits,
    resizes them to the original resolution and compares there. Only the C x C counts are kept; NaN among the logits
    makes them, and with them every metric, NaN: the largest of nothing would look like a class.
    """

    results: list[Tensor]

    def __init__(self, *, num_classes: int, protocol: Protocol, **mmengine: Any) -> None:
        super().__init__(**mmengine)
        self.num_classes = num_classes
        self.protocol = protocol

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "classes height width"]]) -> None:
        """Add a batch; `data_samples` are logits, of which the first `num_classes` count."""
        targets = data_batch["targets"]["semseg"]
        contents, sizes = (data_batch["meta"][key].tolist() for key in ("content_hw", "original_hw"))
        answers = [self._answer(*sample) for sample in zip(data_samples, targets, contents, sizes, strict=True)]
        labels, scores = (torch.cat([part.flatten() for part in parts]) for parts in zip(*answers, strict=True))
        target = torch.cat([target.flatten() for target in targets]).to(labels.device)
        counts = confusion(labels, target=target, num_classes=self.num_classes).double()
        self._accumulate(torch.where(scores.isnan().any(), torch.nan, counts), targets=list(targets))

    def process_constant(self, data_batch: Batch, constant: Tensor) -> None:
        """Add a batch of which every pixel is said to be of class `constant`."""
        for target in data_batch["targets"]["semseg"]:
            self.add(torch.full_like(target, int(constant)), target=target)

    def add(self, labels: Int[Tensor, "height width"], *, target: Int[Tensor, "height width"]) -> None:
        """Count the pixels of one image by target class (row) and predicted class (column)."""
        self._accumulate(confusion(labels, target=target, num_classes=self.num_classes), targets=[target])

    def _answer(
        self,
        logits: Float[Tensor, "outputs height width"],
        target: Int[Tensor, "target_height target_width"],
        content: Sequence[int],
        size: Sequence[int],
    ) -> PixelAnswer:
        scored = logits[: self.num_classes]
        standard = self.protocol == "standard"
        answer = most_likely(_cut(scored, content), size=size) if standard else most_likely(scored)
        check_same_size(answer.labels, target, protocol=self.protocol)
        return answer

    def _accumulate(self, counts: Tensor, *, targets: Sequence[Tensor]) -> None:
        counts = counts.cpu().double()
        self.results = [self.results[0] + counts if self.results else counts]
        self.num_scored += len(targets)
        self.num_empty += sum(not (target < self.num_classes).any() for target in targets)

    def compute_metrics(self, results: list[Float[Tensor, "classes classes"]]) -> dict[str, float]:
        """Turn the summed counts into percentages, over the classes that occur."""
        counts = torch.stack(results).sum(dim=0)
        if not counts.any():
            raise ValueError("no image has a labelled pixel to score; look at the data set's labels")
        found, actual, predicted = counts.diag(), counts.sum(dim=1), counts.sum(dim=0)
        shares = {
            "miou": (found / (actual + predicted - found)).nanmean(),
            "macc": (found / actual).nanmean(),
            "aacc": found.sum() / actual.sum(),
        }
        return {name: 100 * share.item() for name, share in shares.items()}


def most_likely(logits: Float[Tensor, "classes height width"], *, size: Sequence[int] | None = None) -> PixelAnswer:
    """Pick the class with the largest logit, the first of several, after resizing to `size` where it is given.

    Class by class, so that the resized logits of all classes are never held at once (1.8 GB for 150 classes and three
    megapixels). On a CPU this is also two to three times faster than torch's argmax over 150 classes.
    """
    best = _resized(logits[:1], size=size)
    labels = torch.zeros_like(best, dtype=torch.long)
    for index in range(1, len(logits)):
        candidate = _resized(logits[index : index + 1], size=size)
        labels.masked_fill_(candidate > best, index)
        best = torch.maximum(best, candidate)
    return PixelAnswer(labels=labels, logits=best)


def confusion(
    labels: Int[Tensor, "*pixels"], *, target: Int[Tensor, "*pixels"], num_classes: int
) -> Int[Tensor, "classes classes"]:
    """Count pixels by target class (row) and predicted class (column), targets from `num_classes` on left out."""
    rows = target.clamp(max=num_classes)
    cells = torch.bincount((rows * num_classes + labels).flatten(), minlength=(num_classes + 1) * num_classes)
    return cells.view(num_classes + 1, num_classes)[:num_classes]


def _cut(logits: Float[Tensor, "classes height width"], content: Sequence[int]) -> Tensor:
    height, width = content
    if height > logits.shape[-2] or width > logits.shape[-1]:
        raise ValueError(f"content of {height}x{width} does not fit into logits of {tuple(logits.shape)}")
    return logits[:, :height, :width]


def _resized(logits: Float[Tensor, "1 _ _"], *, size: Sequence[int] | None) -> Float[Tensor, "height width"]:
    return logits[0].float() if size is None else resize_map(logits, size)[0]


def most_frequent_class(folder: MultiModalFolder) -> int:
    """Return the class (0..C-1) with the most pixels."""
    counts = histogram(folder, modality="semseg", num_values=folder.spec.num_classes + 1)
    return int(counts.pixels[1:].argmax())

"""Classification: how often the true class is among the most likely ones."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.evaluation.scoring import Batch, Scoring
from multimae.registry import EVALUATORS
from multimae.shapes import Float


@EVALUATORS.register_module()
class ClassificationMetric(Scoring):
    """Count how often the true class is the first (`top1`) or among the first five (`top5`), in percent.

    Both protocols are the same: one central crop. A sample with NaN among its logits makes the metric NaN.
    """

    def process(self, data_batch: Batch, data_samples: Sequence[Float[Tensor, "classes"]]) -> None:
        """Add a batch; `data_samples` are logits."""
        logits = torch.stack(list(data_samples)).float()
        labels = data_batch["targets"]["label"].to(logits.device)
        ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = (ranked == labels[:, None]).double()
        hits[logits.isnan().any(dim=1)] = torch.nan
        self.results += [{"top1": float(row[0]), "top5": float(row.sum())} for row in hits.cpu()]
        self.num_scored += len(data_samples)

    def process_constant(self, data_batch: Batch, constant: Tensor) -> None:
        """Add a batch of which every sample is given the scores `constant`, one a class."""
        self.process(data_batch, [constant] * len(data_batch["targets"]["label"]))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average over samples."""
        return {name: 100 * float(np.mean([result[name] for result in results])) for name in results[0]}


def class_counts(folder: MultiModalFolder) -> Float[Tensor, "classes"]:
    """Count the samples of each class."""
    return torch.from_numpy(np.bincount(folder.numbers_of_classes(), minlength=len(folder.class_names))).float()

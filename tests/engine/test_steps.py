"""Micro-batches of one optimizer step weigh what they count: every loss, learned weights, missing modalities."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.engine.failures import SettingsError
from multimae.engine.steps import LossAverage, take_step
from multimae.losses import IGNORE_LABEL
from multimae.pretraining import MultiMAEPretraining
from multimae.registry import MODELS
from multimae.transfer import LOSSES, MultiMAETransfer, TransferLoss

SIZE = {"image_size": 32, "dim": 16, "depth": 1, "num_heads": 2}
UNLABELLED = {"num_semseg_classes": 4, "semseg_padding": "extra_class"}
COUNTED = (32, 0, 9, 1, 20, 0, 30, 3)
"""How many rows of each sample's map count: unevenly over halves and quarters of the batch."""


@MODELS.register_module()
class MeanOverPixels(nn.Module):
    """Average as mmsegmentation's cross-entropy does, by its options."""

    def __init__(self, *, avg_non_ignore: bool = False, class_weight: list[float] | None = None) -> None:
        super().__init__()
        self.avg_non_ignore = avg_non_ignore
        self.class_weight = class_weight

    def forward(self, prediction: Tensor, labels: Tensor, *, ignore_index: int) -> Tensor:
        weight = None if self.class_weight is None else prediction.new_tensor(self.class_weight)
        total = F.cross_entropy(prediction, labels, weight=weight, ignore_index=ignore_index, reduction="sum")
        labelled = labels[labels != ignore_index]
        if weight is not None:
            return total / weight[labelled].sum().clamp(min=1e-6)
        return total / (max(1, len(labelled)) if self.avg_non_ignore else labels.numel())


TRANSFERS: Mapping[str, Any] = {
    "cross_entropy": "cross_entropy",
    "berhu": "berhu",
    "l1": "l1",
    "target_l1": "target_l1",
    "label_cross_entropy": "label_cross_entropy",
    "all pixels": {"type": "MeanOverPixels"},
    "labelled pixels": {"type": "MeanOverPixels", "avg_non_ignore": True},
    "class weights": {"type": "MeanOverPixels", "class_weight": [1.0, 0.2, 5.0, 1.0]},
}


def transfer(name: str) -> MultiMAETransfer:
    torch.manual_seed(0)
    head = {"type": "multimae.linear", "num_outputs": 4}
    if name != "label_cross_entropy":
        head = {
            "type": "multimae.probe",
            "output": "map",
            "num_outputs": 1 if name in ("berhu", "l1", "target_l1") else 4,
        }
    model = MultiMAETransfer(
        backbone={"type": "multimae.MultiMAE", "modalities": ["rgb"], **SIZE}, head=head, loss=TRANSFERS[name]
    )
    if name != "label_cross_entropy":
        model.head.batch_norm = nn.Identity()  # whose statistics are of a micro-batch, see the head
    return model


def samples() -> dict[str, Any]:
    torch.manual_seed(1)
    counts = (torch.arange(32) < torch.tensor(COUNTED)[:, None])[:, None, :, None].expand(-1, -1, -1, 32)
    depth = torch.randn(8, 1, 32, 32) * torch.arange(1, 9)[:, None, None, None]
    semseg = torch.randint(0, 4, (8, 32, 32)).masked_fill(~counts[:, 0], IGNORE_LABEL)
    targets = {"depth": depth, "target": depth, "mask_valid": counts, "semseg": semseg, "label": torch.arange(8) % 4}
    return {"inputs": {"rgb": torch.randn(8, 3, 32, 32)}, "targets": targets, "meta": {}}


def divided(batch: Any, num: int) -> list[Any]:
    """Divide every tensor of a batch."""
    if isinstance(batch, Tensor):
        return list(batch.chunk(num))
    parts = {name: divided(value, num) for name, value in batch.items()}
    return [{name: part[index] for name, part in parts.items()} for index in range(num)]


def stepped(
    model: BaseModel, batch: Any, *, num: int, loss_average: LossAverage = "step"
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return a copy's weights after a step of gradient descent, and what is logged; `num` 0 is mmengine's own step."""
    model = copy.deepcopy(model).train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    torch.manual_seed(2)
    if num:
        logged = take_step(model, divided(batch, num), optim_wrapper=wrapper, loss_average=loss_average)
    else:
        logged = model.train_step(batch, optim_wrapper=wrapper)
    return dict(model.state_dict()), {name: value.detach() for name, value in logged.items()}


def assert_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor], *, within: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=within, msg=name)


def test_every_loss_is_tried() -> None:
    assert set(LOSSES) <= set(TRANSFERS)


@pytest.mark.parametrize("name", TRANSFERS)
def test_micro_batches_take_the_step_of_the_whole_batch(name: str) -> None:
    model, batch = transfer(name), samples()
    weights, logged = stepped(model, batch, num=0)
    assert not all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    for num, within in ((1, 0.0), (2, 1e-6), (4, 1e-6)):
        other, said = stepped(model, batch, num=num)
        assert_alike(weights, other, within=within)
        assert_alike(logged, said, within=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "berhu", "target_l1", "class weights"])
def test_a_step_in_which_nothing_counts_changes_nothing(name: str) -> None:
    model, batch = transfer(name), samples()
    batch["targets"]["semseg"][:] = IGNORE_LABEL
    batch["targets"]["mask_valid"] = torch.zeros_like(batch["targets"]["mask_valid"])
    weights, logged = stepped(model, batch, num=4)
    assert_alike(model.state_dict(), weights, within=0.0)
    assert logged["loss"] == 0


def test_the_references_way_averages_means() -> None:
    model, batch = transfer("l1"), samples()
    means = [float(stepped(model, part, num=0)[1]["loss"]) for part in divided(batch, 4)]
    _, logged = stepped(model, batch, num=4, loss_average="micro_batch")
    assert float(logged["loss"]) == pytest.approx(sum(means) / 4)
    assert float(logged["loss"]) != pytest.approx(float(stepped(model, batch, num=4)[1]["loss"]), rel=0.01)


def test_the_largest_error_is_looked_for_under_the_paths_that_are_trained() -> None:
    torch.manual_seed(0)
    head = {"type": "multimae.linear", "num_outputs": 4}
    backbone = {"type": "multimae.MultiMAE", "modalities": ["rgb"], "drop_path_rate": 0.5, **SIZE, "depth": 4}
    model = MultiMAETransfer(backbone=backbone, head=head, loss="berhu")
    own: list[float] = []
    of_step: list[float] = []

    def mean(prediction: Tensor, targets: Any, largest: Any) -> Tensor:
        peak = prediction.detach().amax()
        own.append(float(peak))
        of_step.append(float(largest(peak)))
        return prediction.mean()

    model.criterion = TransferLoss(mean=mean, count=lambda targets: torch.tensor(1), has_threshold=True)
    stepped(model, samples(), num=4)
    assert own[:4] == own[4:]
    assert len(set(own)) == 4
    assert of_step[4:] == [max(own)] * 4


@pytest.mark.parametrize("loss_weighting", ["equal", "uncertainty"])
@pytest.mark.parametrize("some_missing", [False, True])
def test_micro_batches_pretrain_as_the_whole_batch(loss_weighting: Any, some_missing: bool) -> None:
    torch.manual_seed(0)
    model = MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", "modalities": ["rgb", "semseg"], **UNLABELLED, **SIZE},
        outputs=["rgb", "norm_rgb", "semseg", "depth"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
        num_visible_tokens=3,
        loss_weighting=loss_weighting,
    )
    batch = samples()
    targets = batch["targets"]
    labels = targets["semseg"][:, ::4, ::4].clamp(max=4)
    batch = {"inputs": {**batch["inputs"], "semseg": labels}, "targets": {"depth": targets["depth"]}, "meta": {}}
    if some_missing:
        present = torch.tensor([True, False, True, True, False, False, False, True])
        batch["meta"]["available"] = {"semseg": present, "depth": ~present | torch.tensor([True] + 7 * [False])}
    weights, logged = stepped(model, batch, num=0)
    for num, within in ((1, 0.0), (2, 1e-6), (4, 1e-6)):
        other, said = stepped(model, batch, num=num)
        assert_alike(weights, other, within=within)
        assert_alike(logged, said, within=1e-5)


def test_a_model_that_does_not_say_what_counts_is_refused() -> None:
    class Foreign(BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, **_: Any) -> dict[str, Tensor]:
            return {"loss": self.weight}

    with pytest.raises(SettingsError, match="Foreign does not say over what its losses are averaged"):
        stepped(Foreign(), {}, num=2)

"""The form that ours is measured against computes the same: losses, gradients, trained weights, masks alike."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.speed import pretraining, straightforward
from multimae.input_adapters import InputAdapter
from multimae.masking import Masking
from multimae.pretraining import MultiMAEPretraining

NUM_TOKENS = {"rgb": 16, "depth": 16, "semseg": 16}


def tiny() -> MultiMAEPretraining:
    """Make a model none of whose parameters is zero, as some are at the start."""
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": list(NUM_TOKENS),
        "image_size": 64,
        "dim": 32,
        "depth": 2,
        "num_heads": 4,
        "num_semseg_classes": pretraining.NUM_CLASSES,
    }
    sizes = {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2, "num_visible_tokens": 12}
    model = MultiMAEPretraining(backbone=backbone, outputs=[*NUM_TOKENS, "norm_rgb"], **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def some_inputs(*, image_size: int = 64, batch_size: int = 3) -> dict[str, Tensor]:
    return pretraining.some_inputs(image_size=image_size, batch_size=batch_size, device=torch.device("cpu"))


def gradients(model: MultiMAEPretraining, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("image_size", [64, 96])
def test_both_forms_give_the_same_losses_and_gradients(image_size: int) -> None:
    torch.manual_seed(0)
    model, inputs = tiny(), some_inputs(image_size=image_size)
    num_tokens = dict.fromkeys(NUM_TOKENS, (image_size // 16) ** 2)
    masking = model.sampler(num_tokens, batch_size=3)
    ours = model.loss(inputs, masks=masking.split())
    theirs = straightforward.compute_losses(model, inputs, masking=masking)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=0)

    our_gradients, their_gradients = gradients(model, ours), gradients(model, theirs)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert set(our_gradients) == set(their_gradients) == trained
    for name, gradient in our_gradients.items():
        torch.testing.assert_close(their_gradients[name], gradient, rtol=0, atol=1e-5 * float(gradient.abs().max()))


def test_a_modality_without_hidden_patches_has_no_loss_in_either() -> None:
    model, inputs = tiny(), some_inputs(batch_size=1)
    masks = {name: torch.full((1, 16), name != "depth") for name in NUM_TOKENS}
    order = torch.cat(list(masks.values()), dim=1).int().argsort(dim=1, stable=True)
    masking = Masking(
        ids_keep=order[:, :16],
        ids_restore=order.argsort(dim=1),
        mask=torch.cat(list(masks.values()), dim=1),
        num_tokens=NUM_TOKENS,
    )
    theirs = straightforward.compute_losses(model, inputs, masking=masking)
    assert theirs["loss_depth"] == 0
    torch.testing.assert_close(theirs, model.loss(inputs, masks=masks), rtol=1e-5, atol=0)


def test_the_forms_stay_together_over_several_steps() -> None:
    torch.manual_seed(0)
    model = tiny()
    before = copy.deepcopy(model.state_dict())
    measured = pretraining.measure(pretraining.make_steps(model, compiled=False), draw=some_inputs, rounds=3)
    first = measured[pretraining.BASELINE]
    losses = [step.losses["loss"] for step in first]
    assert len(set(losses)) == pretraining.WARM_UP + 3
    assert pretraining.largest_difference(measured[pretraining.OURS], first) < 1e-5
    assert 1e-6 < pretraining.largest_difference(measured["ours bf16"], first) < 1e-2
    torch.testing.assert_close(model.state_dict(), before)


class Questions(TorchDispatchMode):
    """Count the operations whose result the host must know before it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        selects = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if selects or name in ("_local_scalar_dense", "equal", "masked_select", "nonzero"):
            self.asked[name] += 1
        return func(*args, **(kwargs or {}))


def test_a_whole_step_asks_for_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a GPU runs: picking the visible patches by their number is for CPUs, where nothing waits.
    monkeypatch.setattr(InputAdapter, "forward_visible", lambda self, maps, *, hidden: self(maps))
    model, inputs = tiny(), some_inputs()
    for form, step in pretraining.make_steps(model, compiled=False).items():
        step(inputs)
        with Questions() as questions:
            step(inputs)
        if form == pretraining.BASELINE:
            assert questions.asked["_local_scalar_dense"] >= 9  # 5 losses, 4 times "is anything hidden?"
        else:
            assert not questions.asked, form


def test_masks_are_drawn_from_the_same_distribution() -> None:
    torch.manual_seed(0)
    theirs = straightforward.draw_masks(NUM_TOKENS, num_visible=12, batch_size=4000)
    ours = tiny().sampler(NUM_TOKENS, batch_size=4000)
    places = torch.arange(48).expand(4000, -1)
    assert torch.equal(theirs.ids_restore.gather(1, theirs.ids_keep), places[:, :12])
    assert torch.equal(theirs.mask, theirs.ids_restore >= 12)
    for name, mask in theirs.split().items():
        visible, expected = (~mask).sum(dim=1).float(), (~ours.split()[name]).sum(dim=1).float()
        assert abs(visible.mean() - expected.mean()) < 0.25  # of 4, standard deviation 2.9 / sqrt(4000) = 0.05
        assert abs(visible.std() - expected.std()) < 0.2


def test_prints_every_form_and_says_whether_losses_are_equal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--size", "tiny", "--image-size", "64", "--batch-size", "2", "--rounds", "1", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["pretraining.py", *options])
    assert pretraining.main() == 0
    printed = capsys.readouterr().out
    for form in ("straightforward fp32", "ours fp32", "ours bf16"):
        assert printed.count(form) == 2
    assert "masks a second" in printed
    monkeypatch.setattr(pretraining, "TOLERANCE", 0.0)
    monkeypatch.setattr(pretraining, "OURS", "ours bf16")
    assert pretraining.main() == 1

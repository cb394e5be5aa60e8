"""Mixup and CutMix: inputs and labels agree, modalities stay aligned."""

import pytest
import torch
from torch import Tensor

from multimae.mixing import Mixing


def inputs(batch: int = 4, size: int = 32) -> dict[str, Tensor]:
    """Every sample is its own number everywhere."""
    numbers = torch.arange(batch, dtype=torch.float32)
    return {
        "rgb": numbers[:, None, None, None].expand(batch, 3, size, size),
        "depth": numbers[:, None, None, None].expand(batch, 1, size, size),
        "semseg": numbers.long()[:, None, None].expand(batch, size // 4, size // 4),
    }


LABELS = torch.arange(4)


@pytest.mark.parametrize("seed", range(30))
def test_labels_say_how_much_of_whom_is_in_the_maps(seed: int) -> None:
    torch.manual_seed(seed)
    mixed = Mixing(num_classes=4, label_smoothing=0.0)(inputs(), labels=LABELS)
    torch.testing.assert_close(mixed.labels.sum(dim=1), torch.ones(4))
    for sample, other in enumerate(reversed(range(4))):
        share = float(mixed.labels[sample, sample])
        mean = share * sample + (1 - share) * other
        for name in ("rgb", "depth"):
            assert mixed.inputs[name][sample].mean().item() == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("seed", range(30))
def test_a_pasted_box_is_at_the_same_place_in_every_modality(seed: int) -> None:
    torch.manual_seed(seed)
    mixed = Mixing(num_classes=4, mixup=0.0)(inputs(), labels=LABELS).inputs
    pasted = mixed["rgb"][0, 0] != 0
    assert torch.equal(pasted, mixed["depth"][0, 0] != 0)
    assert torch.equal(pasted, (mixed["semseg"][0] != 0).repeat_interleave(4, 0).repeat_interleave(4, 1))
    assert set(mixed["rgb"][0].unique().tolist()) <= {0.0, 3.0}


def test_label_maps_are_never_averaged() -> None:
    for seed in range(10):
        torch.manual_seed(seed)
        mixed = Mixing(num_classes=4, cutmix=0.0, label_smoothing=0.0)(inputs(), labels=LABELS)
        assert mixed.inputs["semseg"].dtype == torch.int64
        larger = 0 if mixed.labels[0, 0] >= 0.5 else 3
        assert (mixed.inputs["semseg"][0] == larger).all()


def test_smoothing_alone_leaves_the_inputs_alone() -> None:
    maps = inputs()
    mixed = Mixing(num_classes=4, mixup=0.0, cutmix=0.0, label_smoothing=0.1)(maps, labels=LABELS)
    assert all(torch.equal(mixed.inputs[name], maps[name]) for name in maps)
    # the reference's: off = 0.1 / classes, on = 0.9 + off
    torch.testing.assert_close(mixed.labels[0], torch.tensor([0.925, 0.025, 0.025, 0.025]))


def test_both_ways_are_taken_about_equally_often() -> None:
    torch.manual_seed(0)
    ways = []
    for _ in range(200):
        values = Mixing(num_classes=4)(inputs(size=8), labels=LABELS).inputs["rgb"][0].unique()
        ways.append(len(values) == 1 and float(values[0]) not in (0.0, 3.0))
    assert 60 < sum(ways) < 140

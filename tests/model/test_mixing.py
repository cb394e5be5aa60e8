"""Mixup and CutMix: inputs and labels agree, modalities stay aligned."""

import numpy as np
import pytest
import torch
from scipy import stats
from timm.data.mixup import Mixup
from torch import Tensor

from multimae.mixing import Mixing

FALSE_ALARM = 1e-6
"""How often a right implementation would fail the test of its draws, if seeds were not fixed."""


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


def test_shares_are_distributed_as_timms() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    settings = {"num_classes": 4, "label_smoothing": 0.1}
    theirs = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5, mode="batch", **settings)
    ours = Mixing(mixup=0.8, cutmix=1.0, **settings)
    for way in ("mixup", "cutmix"):
        shares: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(800):
            mixed = ours({"rgb": inputs(size=20)["rgb"]}, labels=LABELS)
            maps, labels = theirs(inputs(size=20)["rgb"].clone(), LABELS)
            for whose, rgb, soft in (("ours", mixed.inputs["rgb"], mixed.labels), ("theirs", maps, labels)):
                values = rgb[0].unique()
                if (len(values) == 1 and values[0] not in (0.0, 3.0)) == (way == "mixup"):
                    shares[whose].append(float(soft[0, 0]))
        assert stats.ks_2samp(shares["ours"], shares["theirs"]).pvalue > FALSE_ALARM, way
        assert stats.binomtest(len(shares["ours"]), 800, 0.5).pvalue > FALSE_ALARM, way


def test_one_draw_mixes_as_timm_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same share and the same centre give the same images and the same labels."""
    maps = torch.rand(4, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    for mixup, cutmix in ((0.8, 0.0), (0.0, 1.0)):
        theirs = Mixup(mixup_alpha=mixup, cutmix_alpha=cutmix, num_classes=4, label_smoothing=0.1)
        ours = Mixing(mixup=mixup, cutmix=cutmix, num_classes=4, label_smoothing=0.1)
        # Boxes of 20 * 0.4 by 30 * 0.4 pixels: where sides are odd, timm of today adds the row that 0.4 left out.
        for share, centre in ((0.84, (10, 15)), (0.84, (1, 28)), (0.84, (19, 0))):
            places = iter(centre * 2)
            monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self, _share=share: torch.tensor(_share))
            monkeypatch.setattr(np.random, "beta", lambda *args, _share=share: _share)
            monkeypatch.setattr(torch, "randint", lambda high, size, _p=places: 0 if high == 1 else next(_p))
            monkeypatch.setattr(np.random, "randint", lambda low, high, size=None, _p=places: next(_p))
            mixed = ours({"rgb": maps}, labels=LABELS)
            images, labels = theirs(maps.clone(), LABELS)
            torch.testing.assert_close(mixed.inputs["rgb"], images)
            torch.testing.assert_close(mixed.labels, labels)


def test_boxes_beside_a_coarse_map_are_made_of_its_cells() -> None:
    torch.manual_seed(0)
    edges: dict[int, set[int]] = {1: set(), 4: set()}
    for maps, cell in (({"rgb": inputs()["rgb"]}, 1), (inputs(), 4)):
        for _ in range(40):
            pasted = Mixing(num_classes=4, mixup=0.0)(maps, labels=LABELS).inputs["rgb"][0, 0] != 0
            rows = pasted.any(dim=1).nonzero()
            edges[cell] |= {int(rows.min()) % 4, (int(rows.max()) + 1) % 4} if len(rows) else set()
    assert edges[1] == {0, 1, 2, 3}
    assert edges[4] == {0}

"""Which tokens are hidden: exact counts, the reference's distribution, masks given by hand."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from multimae.masking import Masking, MaskSampler, masking_from_masks

PARITY_DIR = Path(os.environ.get("MULTIMAE_PARITY_DIR", Path(__file__).parent / "parity"))
NUM_TOKENS = {"rgb": 196, "depth": 196, "semseg": 196}
NUM_VISIBLE = 98
NUM_REFERENCE = 20_000
NUM_DRAWN = 6_000
# A right sampler fails one run in a thousand, for a fresh seed: about 70 comparisons share 1e-3 between them, which
# is 4.35 standard errors each. The seeds here are fixed, so only a change of the sampler or of torch draws anew.
MAX_Z = 4.35


def statistics() -> dict[str, dict[str, Any]]:
    path = PARITY_DIR / "masking_statistics.json"
    if not path.exists():
        return {}
    stats: dict[str, dict[str, Any]] = json.loads(path.read_text())["stats"]
    return stats


def sampler(setting: str, **changes: Any) -> MaskSampler:
    reference = {**json.loads(setting), **changes}
    sampling = "uniform_subsets" if reference["sample_tasks_uniformly"] else "dirichlet"
    return MaskSampler(num_visible_tokens=NUM_VISIBLE, alphas=reference["alphas"], sampling=sampling)


def visible_counts(sample: MaskSampler, *, seed: int) -> Tensor:
    masking = sample(NUM_TOKENS, batch_size=NUM_DRAWN, generator=torch.Generator().manual_seed(seed))
    return torch.stack([(~mask).sum(dim=1) for mask in masking.split().values()], dim=1).double()


def largest_deviation(counts: Tensor, expected: dict[str, Any]) -> float:
    """Return the largest difference from the reference's statistics in standard errors of that difference."""
    share = 1 / NUM_DRAWN + 1 / NUM_REFERENCE
    centred = counts - counts.mean(dim=0)
    variance, fourth = centred.square().mean(dim=0), centred.pow(4).mean(dim=0)
    mean_error = (variance * share).sqrt()
    std_error = ((fourth - variance.square()) / (4 * variance) * share).sqrt()
    zero, expected_zero = (counts == 0).double().mean(dim=0), torch.tensor(expected["share_zero"]).double()
    pooled = (zero * NUM_DRAWN + expected_zero * NUM_REFERENCE + 0.5) / (NUM_DRAWN + NUM_REFERENCE)
    deviations = [
        (counts.mean(dim=0) - torch.tensor(expected["mean"])).abs() / mean_error,
        (variance.sqrt() - torch.tensor(expected["std"])).abs() / std_error,
        (zero - expected_zero).abs() / (pooled * (1 - pooled) * share).sqrt(),
    ]
    for percent, value in expected["quantiles_rgb"].items():
        level = float(percent) / 100
        below, up_to = (counts[:, 0] < value).double().mean(), (counts[:, 0] <= value).double().mean()
        outside = torch.maximum(below - level, level - up_to).clamp(min=0)
        deviations.append(outside[None] / math.sqrt(level * (1 - level) * share))
    return float(torch.cat(deviations).max())


@pytest.mark.parametrize(("setting", "expected"), statistics().items())
def test_distribution_is_the_reference_s(setting: str, expected: dict[str, Any]) -> None:
    counts = visible_counts(sampler(setting), seed=0)
    assert [int(counts.sum(dim=1).min()), int(counts.sum(dim=1).max())] == expected["total_visible"]
    assert largest_deviation(counts, expected) < MAX_Z


@pytest.mark.parametrize(("setting", "expected"), list(statistics().items())[:1])
def test_comparison_notices_a_slightly_different_sampler(setting: str, expected: dict[str, Any]) -> None:
    counts = visible_counts(sampler(setting, alphas=1.15), seed=0)
    assert largest_deviation(counts, expected) > MAX_Z


def test_every_place_is_equally_likely() -> None:
    """Three modalities: their rounded shares often miss the number wanted, and mending that must not prefer places."""
    masking = MaskSampler(num_visible_tokens=12)(
        dict.fromkeys(NUM_TOKENS, 16), batch_size=20_000, generator=torch.Generator().manual_seed(0)
    )
    share = (~masking.mask).double().mean(dim=0)
    # 48 places; one right sampler in a thousand lies 4.3 standard errors off somewhere
    assert (share - 0.25).abs().max() < 4.3 * math.sqrt(0.25 * 0.75 / 20_000)


def check_consistency(masking: Masking) -> None:
    batch, total = masking.mask.shape
    order = masking.ids_restore.argsort(dim=1)
    assert torch.equal(order.sort(dim=1).values, torch.arange(total).expand(batch, -1))
    assert torch.equal(order[:, : masking.num_visible], masking.ids_keep)
    assert not masking.mask.gather(1, masking.ids_keep).any()
    assert torch.equal((~masking.mask).sum(dim=1), torch.full((batch,), masking.num_visible))


@pytest.mark.parametrize("alphas", [0.001, 0.2, 1.0, 50.0])
@pytest.mark.parametrize("sampling", ["dirichlet", "uniform_subsets"])
@pytest.mark.parametrize("num_visible", [1, 7, 20, 35])
def test_always_exactly_so_many_visible(alphas: float, sampling: Any, num_visible: int) -> None:
    sample = MaskSampler(num_visible_tokens=num_visible, alphas=alphas, sampling=sampling)
    check_consistency(sample({"rgb": 15, "depth": 20}, batch_size=64, generator=torch.Generator().manual_seed(1)))


def test_masks_of_the_modalities_are_parts_of_the_whole() -> None:
    masking = MaskSampler(num_visible_tokens=9)({"rgb": 6, "depth": 4, "semseg": 8}, batch_size=3)
    masks = masking.split()
    assert {name: mask.shape[1] for name, mask in masks.items()} == {"rgb": 6, "depth": 4, "semseg": 8}
    assert torch.equal(torch.cat(list(masks.values()), dim=1), masking.mask)


def test_a_seeded_generator_repeats_the_masks() -> None:
    sample = MaskSampler(num_visible_tokens=5, alphas=[1.0, 0.5])
    first, second = (
        sample({"rgb": 9, "depth": 9}, batch_size=4, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first.ids_keep, second.ids_keep)


def test_given_masks_are_right_for_a_whole_batch() -> None:
    masks = {
        "rgb": torch.tensor([[False, True, True, False], [True, True, True, True]]),
        "depth": torch.tensor([[True, True, False, True], [False, False, True, False]]),
    }
    masking = masking_from_masks(masks)
    check_consistency(masking)
    assert masking.ids_keep.tolist() == [[0, 3, 6], [4, 5, 7]]
    assert all(torch.equal(masking.split()[name], masks[name]) for name in masks)


def test_given_masks_must_show_equally_much_of_every_sample() -> None:
    with pytest.raises(ValueError, match=r"equally many visible tokens, got \[1, 2\]"):
        masking_from_masks({"rgb": torch.tensor([[True, False, True], [False, True, False]])})


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="30 visible tokens wanted"):
        MaskSampler(num_visible_tokens=30)({"rgb": 16}, batch_size=1)
    with pytest.raises(ValueError, match=r"2 alphas \[1\.0, 2\.0\] for 1 modalities"):
        MaskSampler(num_visible_tokens=3, alphas=[1.0, 2.0])({"rgb": 16}, batch_size=1)
    with pytest.raises(ValueError, match="must be positive"):
        MaskSampler(num_visible_tokens=3, alphas=[1.0, 0.0])
    with pytest.raises(ValueError, match="at least 1"):
        MaskSampler(num_visible_tokens=0)

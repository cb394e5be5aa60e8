"""Which tokens are hidden: exact counts, the reference's distribution, masks given by hand."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import torch
from torch import Tensor

from multimae.masking import Masking, MaskSampler, masking_from_masks
from tests.made.parity_files import files_of

NUM_DRAWN = 6_000
# A right sampler fails on one file in a thousand, for a fresh seed: all comparisons with a file share this between
# them. The seeds here are fixed, so only a change of the sampler or of torch draws anew.
FALSE_ALARMS = 1e-3


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Hold the reference's statistics of visible tokens per modality, by the settings of its sampler."""

    num_tokens: dict[str, int]
    num_visible: int
    num_samples: int
    by_setting: dict[str, dict[str, Any]]

    @property
    def max_z(self) -> float:
        """Standard errors that one of all comparisons exceeds by chance as often as FALSE_ALARMS."""
        comparisons = sum(
            sum(len(value) for key, value in expected.items() if key != "total_visible")
            for expected in self.by_setting.values()
        )
        return NormalDist().inv_cdf(1 - FALSE_ALARMS / comparisons / 2)

    def sampler(self, setting: str, *, times: float = 1) -> MaskSampler:
        """Build ours with the reference's settings, its concentrations multiplied."""
        reference = json.loads(setting)
        alphas = reference["alphas"]
        return MaskSampler(
            num_visible_tokens=self.num_visible,
            alphas=[times * alpha for alpha in alphas] if isinstance(alphas, list) else times * alphas,
            sampling="uniform_subsets" if reference.get("sample_tasks_uniformly") else "dirichlet",
        )

    def visible_counts(self, sample: MaskSampler) -> Tensor:
        """Draw masks and count the visible tokens, [samples, modalities]."""
        masking = sample(self.num_tokens, batch_size=NUM_DRAWN, generator=torch.Generator().manual_seed(0))
        return torch.stack([(~mask).sum(dim=1) for mask in masking.split().values()], dim=1).double()

    def largest_deviation(self, counts: Tensor, expected: dict[str, Any]) -> float:
        """Return the largest difference from the reference's statistics in standard errors of that difference."""
        share = 1 / NUM_DRAWN + 1 / self.num_samples
        centred = counts - counts.mean(dim=0)
        # A single modality always gets everything: no variance at all.
        variance, fourth = centred.square().mean(dim=0).clamp(min=1e-12), centred.pow(4).mean(dim=0)
        mean_error = (variance * share).sqrt()
        std_error = ((fourth - variance.square()).clamp(min=1e-12) / (4 * variance) * share).sqrt()
        zero, expected_zero = (counts == 0).double().mean(dim=0), torch.tensor(expected["share_zero"]).double()
        pooled = (zero * NUM_DRAWN + expected_zero * self.num_samples + 0.5) / (NUM_DRAWN + self.num_samples)
        deviations = [
            (counts.mean(dim=0) - torch.tensor(expected["mean"])).abs() / mean_error,
            (variance.sqrt() - torch.tensor(expected["std"])).abs() / std_error,
            (zero - expected_zero).abs() / (pooled * (1 - pooled) * share).sqrt(),
        ]
        for key, quantiles in expected.items():
            if key.startswith("quantiles_"):
                column = counts[:, list(self.num_tokens).index(key.removeprefix("quantiles_"))]
                deviations += [_quantile_deviation(column, level, value, share) for level, value in quantiles.items()]
        return float(torch.cat(deviations).max())


def _quantile_deviation(counts: Tensor, percent: str, value: float, share: float) -> Tensor:
    level = float(percent) / 100
    below, up_to = (counts < value).double().mean(), (counts <= value).double().mean()
    outside = torch.maximum(below - level, level - up_to).clamp(min=0)
    return outside[None] / math.sqrt(level * (1 - level) * share)


def statistics(path: Path) -> Statistics:
    """Read a file; a sentence says what was sampled: "3 modalities x 196 tokens, 98 visible, 20000 samples; ..."."""
    recorded = json.loads(path.read_text())
    found = re.match(
        r"(\d+) modalit\w+ x (\d+) tokens, (\d+) visible, (\d+) samples;.* in order (.+)", recorded["setting"]
    )
    assert found, recorded["setting"]
    names = [name.strip() for name in found[5].split(",")]
    assert len(names) == int(found[1])
    return Statistics(
        num_tokens=dict.fromkeys(names, int(found[2])),
        num_visible=int(found[3]),
        num_samples=int(found[4]),
        by_setting=recorded["stats"],
    )


@pytest.mark.parametrize("path", files_of("masking_statistics", suffix="json"))
def test_distribution_is_the_reference_s(path: Path) -> None:
    recorded = statistics(path)
    assert recorded.by_setting
    for setting, expected in recorded.by_setting.items():
        counts = recorded.visible_counts(recorded.sampler(setting))
        assert [int(counts.sum(dim=1).min()), int(counts.sum(dim=1).max())] == expected["total_visible"], setting
        assert recorded.largest_deviation(counts, expected) < recorded.max_z, setting


@pytest.mark.parametrize("path", files_of("masking_statistics", suffix="json"))
def test_comparison_notices_slightly_different_samplers(path: Path) -> None:
    recorded = statistics(path)
    if len(recorded.num_tokens) == 1:
        pytest.skip("there is nothing to divide among one modality")
    noticed = {
        setting: recorded.largest_deviation(recorded.visible_counts(recorded.sampler(setting, times=1.3)), expected)
        for setting, expected in recorded.by_setting.items()
    }
    assert max(noticed.values()) > recorded.max_z


def test_every_place_is_equally_likely() -> None:
    """Three modalities: rounded shares often miss the number wanted; the correction must not prefer places."""
    masking = MaskSampler(num_visible_tokens=12)(
        dict.fromkeys(("rgb", "depth", "semseg"), 16), batch_size=20_000, generator=torch.Generator().manual_seed(0)
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

"""Colour changes in 8 bits: against the formulas, against torchvision's, and what they draw."""

from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms.v2 import functional

from multimae.data import colours
from multimae.data.colours import (
    ColorJitter,
    scale_brightness,
    scale_contrast,
    scale_saturation,
    to_grey,
    turn_hue,
)

FALSE_ALARM = 1e-6
"""How often a right implementation would fail a test of its draws, if seeds were not fixed."""
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
IMAGE[:, ::2] //= 2  # darker than grey on average
NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def grey_levels(image: np.ndarray) -> np.ndarray:
    return np.floor(image @ [0.299, 0.587, 0.114] + 0.5)


@pytest.mark.parametrize("factor", [0.0, 0.6, 0.87, 1.0, 1.13, 1.4])
def test_levels_follow_the_formulas(factor: float) -> None:
    grey = grey_levels(IMAGE)
    brighter = np.floor((IMAGE * factor).clip(0, 255))
    assert np.array_equal(scale_brightness(IMAGE, factor), brighter)
    harder = (IMAGE * factor + grey.mean() * (1 - factor)).clip(0, 255)
    assert np.abs(scale_contrast(IMAGE, factor) - np.floor(harder)).max() <= 1
    fuller = (IMAGE * factor + grey[..., None] * (1 - factor)).clip(0, 255)
    assert np.abs(scale_saturation(IMAGE, factor) - fuller).max() <= 1.5
    assert np.abs(to_grey(planes(IMAGE)).numpy() - grey).max() <= 1


@pytest.mark.parametrize("amount", [0.0, 0.1, -0.2, 0.37])
def test_colours_change_as_torchvision_changes_them(amount: float) -> None:
    # Levels that may differ: by rounding; a hue by the 3 of 60 degrees over which a channel goes from 0 to 255.
    changes: tuple[tuple[Callable[..., Any], Callable[..., Any], float, int], ...] = (
        (scale_brightness, functional.adjust_brightness, 1 + amount, 1),
        (scale_contrast, functional.adjust_contrast, 1 + amount, 1),
        (scale_saturation, functional.adjust_saturation, 1 + amount, 1),
        (turn_hue, functional.adjust_hue, amount, 13),
    )
    for ours, theirs, value, levels in changes:
        difference = planes(ours(IMAGE, value)).int() - theirs(planes(IMAGE), value).int()
        assert difference.abs().max() <= levels, ours.__name__
        assert difference.abs().float().mean() <= 1


def test_a_third_of_a_turn_exchanges_the_channels() -> None:
    pure = np.eye(3, dtype=np.uint8)[None] * 200
    assert np.array_equal(turn_hue(pure, 1 / 3), pure[:, [1, 2, 0]])


def test_factors_are_uniform_around_one() -> None:
    torch.manual_seed(0)
    grey = planes(np.full((1, 1, 3), 128, dtype=np.uint8))
    jitter = ColorJitter(**{**NOTHING, "brightness": 0.4})
    # Fractions of a level were cut off: spread the levels out again.
    factors = [(float(jitter(grey)[0, 0, 0]) + float(torch.rand(()))) / 128 for _ in range(2000)]
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).pvalue > FALSE_ALARM


def test_every_spread_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    drawn: dict[str, list[float]] = {}
    for name in ("scale_brightness", "scale_contrast", "scale_saturation", "turn_hue"):
        amounts = drawn.setdefault(name, [])
        monkeypatch.setattr(colours, name, lambda pixels, amount, _to=amounts: (_to.append(amount), pixels)[1])
    jitter = ColorJitter(brightness=0.1255, contrast=0.4, saturation=1.5, hue=0.2)
    for _ in range(2000):
        jitter(planes(IMAGE))
    expected = {
        "scale_brightness": (0.8745, 1.1255),
        "scale_contrast": (0.6, 1.4),
        "scale_saturation": (0.0, 2.5),
        "turn_hue": (-0.2, 0.2),
    }
    for name, (low, high) in expected.items():
        assert stats.kstest(drawn[name], stats.uniform(low, high - low).cdf).pvalue > FALSE_ALARM, name


def test_steps_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    taken: list[str] = []
    names = ("scale_brightness", "scale_contrast", "scale_saturation", "turn_hue")
    for name in names:
        monkeypatch.setattr(colours, name, lambda pixels, amount, _name=name: (taken.append(_name), pixels)[1])
    jitter = ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    for _ in range(1200):
        jitter(planes(IMAGE))
    orders = Counter(tuple(taken[start : start + 4]) for start in range(0, len(taken), 4))
    assert set(orders) == set(permutations(names))
    assert stats.chisquare(list(orders.values())).pvalue > FALSE_ALARM


def test_no_spread_changes_nothing_and_the_image_itself_stays() -> None:
    image = planes(IMAGE.copy())
    assert torch.equal(ColorJitter(**NOTHING)(image), planes(IMAGE))
    for _ in range(5):
        ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)(image)
    to_grey(image)
    assert torch.equal(image, planes(IMAGE))

"""Whatever a pipeline draws, and whatever the image's size, all modalities show the same places."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multimae.data.pipelines.classification import ClassificationAugmentation, ClassificationEvaluation
from multimae.data.pipelines.depth import DepthAugmentation, DepthEvaluation
from multimae.data.pipelines.pretraining import PretrainingAugmentation, PretrainingEvaluation
from multimae.data.pipelines.regression import RegressionAugmentation, RegressionEvaluation
from multimae.data.pipelines.semseg import SemsegAugmentation, SemsegEvaluation
from tests.made.coordinates import MAX_LENGTH, MODALITIES, make_sample, moved_maps, positions

Build = Callable[..., Any]
Axis = Literal["row", "column"]
PLAIN: dict[str, Build] = {
    "pretraining": PretrainingAugmentation,
    "pretraining evaluation": PretrainingEvaluation,
    "classification": ClassificationAugmentation,
    "classification evaluation": ClassificationEvaluation,
    "semseg": partial(SemsegAugmentation, color_jitter_prob=0.0),
    "semseg, smoothed": partial(SemsegAugmentation, color_jitter_prob=0.0, resizing="antialiased"),
    "semseg evaluation": partial(SemsegEvaluation, protocol="paper"),
    "depth": partial(DepthAugmentation, color_jitter_prob=0.0, grey_prob=0.0),
    "depth, smoothed": partial(DepthAugmentation, color_jitter_prob=0.0, grey_prob=0.0, resizing="antialiased"),
    "depth evaluation, paper": partial(DepthEvaluation, protocol="paper"),
    "depth evaluation, standard": partial(DepthEvaluation, protocol="standard"),
    "regression": partial(RegressionAugmentation, target="keypoints3d", hflip_prob=0.5),
    "regression evaluation": partial(RegressionEvaluation, target="normal", protocol="standard"),
}
RECOLOURED: dict[str, Build] = {
    "classification, recoloured": partial(ClassificationAugmentation, rand_augment="rand-m9-mstd0.5-inc1"),
    "semseg, recoloured": partial(SemsegAugmentation, color_jitter_prob=1.0),
    "depth, recoloured": partial(DepthAugmentation, color_jitter_prob=1.0, grey_prob=1.0),
}
# Shrunk to a tenth, an image of these sizes still has pixels to compare. torch fails on some of fewer than three.
MIN_LENGTH = 40
ANY_IMAGE = {
    "height": st.integers(MIN_LENGTH, MAX_LENGTH),
    "width": st.integers(MIN_LENGTH, MAX_LENGTH),
    "size": st.sampled_from([48, 64, 96]),
    "axis": st.sampled_from(["row", "column"]),
    "seed": st.integers(0, 2**31),
}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(**ANY_IMAGE)
@pytest.mark.parametrize("kind", [*PLAIN, *RECOLOURED])
def test_maps_show_the_very_same_pixels(kind: str, height: int, width: int, size: int, axis: Axis, seed: int) -> None:
    _seed(seed)
    pipeline = {**PLAIN, **RECOLOURED}[kind](inputs=MODALITIES, size=size)
    maps = moved_maps(pipeline, make_sample(height, width, axis=axis))
    found = positions(maps)
    shown = found["semseg"]
    # Labels are odd: a mixture of neighbours, which differ by 2, would not be a whole position.
    assert torch.equal(shown, shown.round())
    assert 0 <= shown.min() <= shown.max() < {"row": height, "column": width}[axis]
    unmixed = {"pseudo_semseg", "normal", "keypoints3d", "principal_curvature"} | (
        set() if "pretraining" in kind else {"depth"}
    )
    for name in unmixed:
        assert torch.equal(found[name], shown), name
    assert torch.equal(maps["mask_valid"][0] == 255, shown % 3 != 0)
    assert torch.equal(maps["principal_curvature"][0], shown)
    straight, mirrored = 10 + shown, 255 - (10 + shown)
    is_mirrored = bool((maps["normal"][0] == mirrored).all())
    assert is_mirrored or bool((maps["normal"][0] == straight).all())
    if axis == "column":
        steps = shown.diff(dim=1) * (-1 if is_mirrored else 1)
        assert (steps >= 0).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**ANY_IMAGE)
@pytest.mark.parametrize("kind", PLAIN)
def test_rgb_shows_the_same_places(kind: str, height: int, width: int, size: int, axis: Axis, seed: int) -> None:
    _seed(seed)
    pipeline = PLAIN[kind](inputs=MODALITIES, size=size)
    maps = moved_maps(pipeline, make_sample(height, width, axis=axis))
    found = {name: _along(place, axis) for name, place in positions(maps).items()}
    rgb, shown = found["rgb"], found["semseg"]
    # How many pixels of the image one of the result stands for, and how many one of the first resizing of two.
    pixels = float((rgb[-1] - rgb[0]).abs()) / max(1, len(rgb) - 1)
    first = max(height, width) / size if kind.startswith("semseg") and "evaluation" not in kind else 0.0
    # Mirrored before it was resized: upper left corners have become upper right ones.
    turned = axis == "column" and kind.startswith("semseg") and bool((shown.diff() < 0).any())
    error = (shown - rgb) * (1 if turned else -1)
    # Half a pixel per resizing, and as much again for positions rounded to 8 bits and for `pixels` read off them.
    slack = 1.0 + first / 2
    middle = (pixels + first) / 2 if pipeline.map_filter == "corner" else 0.0
    # Filters lean inwards at the border, by up to the pixels they reach over.
    border = 2 + int(2 / pixels) if pixels else len(rgb)
    assert ((error - middle)[border:-border].abs() <= slack).all()
    assert ((error - middle).abs() <= slack + max(1.0, pixels) + first).all()
    if "pretraining" in kind:
        assert (found["depth"] - rgb).abs().max() <= 0.3


@pytest.mark.parametrize("kind", [*PLAIN, *RECOLOURED])
def test_a_seed_decides_everything(kind: str) -> None:
    pipeline = {**PLAIN, **RECOLOURED}[kind](inputs=MODALITIES, size=32)
    sample = make_sample(61, 83, axis="column")
    examples = []
    for seed in (0, 0, *range(1, 9)):
        _seed(seed)
        examples.append(pipeline(sample)["inputs"])
    for name in MODALITIES:
        assert torch.equal(examples[0][name], examples[1][name])
    differ = any(not torch.equal(examples[0]["rgb"], other["rgb"]) for other in examples[2:])
    assert differ == ("evaluation" not in kind)


def _along(place: torch.Tensor, axis: Axis) -> torch.Tensor:
    """Return the positions along their axis, which are the same in every line of it, but for a level of 8 bits."""
    lines = place if axis == "column" else place.T
    torch.testing.assert_close(lines, lines[:1].expand_as(lines), rtol=0, atol=0.51)
    return lines[0]


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # timm's RandAugment draws from numpy and Python
    random.seed(seed)

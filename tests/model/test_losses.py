"""Losses against the reference's way of computing them (on maps) and against plain numpy; no NaN, no infinity."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from multimae.layers import Grid, fold_patches, unfold_patches
from multimae.losses import (
    IGNORE_LABEL,
    SampleLosses,
    berhu,
    masked_l1,
    masked_mse,
    normalise_patches,
    patch_cross_entropy,
    patch_l1,
    patch_mse,
    segmentation_cross_entropy,
)

PATCH = 4
GRID = Grid(3, 5)


def some_mask() -> Tensor:
    """Hide different numbers of patches per sample, and in the last sample none."""
    mask = torch.rand(4, GRID.num_tokens, generator=torch.Generator().manual_seed(0)) < 0.6
    mask[3] = False
    return mask


def on_maps(errors: Tensor, mask: Tensor) -> Tensor:
    """Average as the reference does: mask enlarged to pixels, mean per sample, mean over samples that have one."""
    enlarged = F.interpolate(mask.float().view(-1, 1, *GRID), scale_factor=PATCH, mode="nearest")[:, 0]
    return ((errors * enlarged).flatten(1).sum(1) / enlarged.flatten(1).sum(1)).nanmean()


def test_unfold_and_fold_are_inverse_and_row_by_row() -> None:
    maps = torch.randn(2, 3, 12, 20)
    patches = unfold_patches(maps, patch_size=PATCH)
    assert torch.equal(fold_patches(patches, grid=GRID, patch_size=PATCH), maps)
    assert torch.equal(patches[1, 1 * 5 + 2], maps[1, :, 4:8, 8:12].flatten())


@pytest.mark.parametrize(("loss", "power"), [(patch_mse, 2), (patch_l1, 1)])
def test_patch_losses_of_numbers_equal_those_on_maps(loss: Callable[..., SampleLosses], power: int) -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 4, 3, 12, 20)
    expected = on_maps((prediction - target).abs().pow(power).mean(dim=1), some_mask())
    actual = loss(
        unfold_patches(prediction, patch_size=PATCH),
        target=unfold_patches(target, patch_size=PATCH),
        mask=some_mask(),
    )
    torch.testing.assert_close(actual.mean(), expected)
    assert actual.counted.tolist() == [True, True, True, False]


def test_patch_cross_entropy_equals_that_on_maps() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 7, 12, 20), torch.randint(0, 7, (4, 12, 20))
    expected = on_maps(F.cross_entropy(logits, labels, reduction="none"), some_mask())
    actual = patch_cross_entropy(
        unfold_patches(logits, patch_size=PATCH),
        target=unfold_patches(labels[:, None], patch_size=PATCH),
        mask=some_mask(),
    )
    torch.testing.assert_close(actual.mean(), expected)


def test_patch_cross_entropy_leaves_unlabelled_pixels_out() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 5 * 4), torch.randint(0, 5, (2, 3, 4))
    target[0, 1, 2:] = IGNORE_LABEL
    target[1] = IGNORE_LABEL
    mask = torch.tensor([[True, True, False], [True, True, True]])
    errors = F.cross_entropy(logits[0].view(3, 5, 4), target[0], ignore_index=IGNORE_LABEL, reduction="none")
    actual = patch_cross_entropy(logits, target=target, mask=mask)
    torch.testing.assert_close(actual.values[0], (errors[0].sum() + errors[1].sum()) / 6)
    assert actual.counted.tolist() == [True, False]


@pytest.mark.parametrize("loss", [patch_mse, patch_l1])
def test_nothing_hidden_gives_zero_loss_and_zero_gradients(loss: Callable[..., Any]) -> None:
    prediction = torch.randn(2, 3, 4, requires_grad=True)
    value = loss(prediction, target=torch.randn(2, 3, 4), mask=torch.zeros(2, 3, dtype=torch.bool)).mean()
    value.backward()
    assert value == 0
    assert prediction.grad is not None
    assert not prediction.grad.any()


def test_what_is_visible_may_be_infinite() -> None:
    prediction = torch.tensor([[[torch.inf], [2.0]]], requires_grad=True)
    value = patch_mse(prediction, target=torch.ones(1, 2, 1), mask=torch.tensor([[False, True]])).mean()
    assert value == 1


def test_normalised_patches() -> None:
    patches = np.random.default_rng(0).normal(3, 2, (2, 5, 48)).astype(np.float32)
    mean, variance = patches.mean(-1, keepdims=True), patches.var(-1, ddof=1, keepdims=True)
    expected = torch.from_numpy((patches - mean) / np.sqrt(variance + 1e-6))
    torch.testing.assert_close(normalise_patches(torch.from_numpy(patches)), expected, rtol=1e-5, atol=1e-5)
    assert not normalise_patches(torch.full((1, 1, 8), 0.7)).isnan().any()


def depth_maps() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 1, 6, 5, generator=generator)
    return prediction, target, torch.rand(3, 1, 6, 5, generator=generator) < 0.7


def test_map_losses_against_numpy() -> None:
    prediction, target, valid = depth_maps()
    errors = np.abs((prediction - target).numpy())[valid.numpy()]
    threshold = 0.2 * errors.max()
    reverse_huber = np.where(errors < threshold, errors, (errors**2 + threshold**2) / (2 * threshold))
    expected = {masked_l1: errors.mean(), masked_mse: (errors**2).mean(), berhu: reverse_huber.mean()}
    for loss, value in expected.items():
        assert float(loss(prediction, target=target, valid=valid)) == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize("loss", [berhu, masked_l1, masked_mse])
def test_invalid_pixels_count_for_nothing(loss: Callable[..., Any]) -> None:
    prediction, target, valid = depth_maps()
    expected = loss(prediction, target=target, valid=valid)
    prediction = prediction.requires_grad_()
    actual = loss(prediction, target=target.masked_fill(~valid, torch.nan), valid=valid)
    actual.backward()
    torch.testing.assert_close(actual.detach(), expected)
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert not prediction.grad[~valid].any()


@pytest.mark.parametrize("loss", [berhu, masked_l1, masked_mse])
def test_no_valid_pixel_gives_zero(loss: Callable[..., Any]) -> None:
    prediction, target, valid = depth_maps()
    assert loss(prediction, target=target, valid=torch.zeros_like(valid)) == 0


def test_the_mask_counts_for_every_channel() -> None:
    prediction, target, valid = depth_maps()
    three = {"target": target.expand(-1, 3, -1, -1), "valid": valid}
    torch.testing.assert_close(
        masked_l1(prediction.expand(-1, 3, -1, -1), **three), masked_l1(prediction, target=target, valid=valid)
    )


def test_segmentation_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 6, 4, requires_grad=True), torch.randint(0, 5, (2, 6, 4))
    labels[0, :3] = IGNORE_LABEL
    expected = F.cross_entropy(logits, labels, ignore_index=IGNORE_LABEL)
    torch.testing.assert_close(segmentation_cross_entropy(logits, labels=labels), expected)
    nothing = segmentation_cross_entropy(logits, labels=torch.full_like(labels, IGNORE_LABEL))
    nothing.backward()
    assert nothing == 0
    assert logits.grad is not None
    assert not logits.grad.any()

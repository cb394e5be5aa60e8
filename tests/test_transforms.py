"""Steps of the pipelines, each against a short independent version."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from multimae.data.maps import NearestMap, NormalMap, SmoothDepth
from multimae.data.transforms import (
    centre_crop,
    encode_depth,
    encode_image,
    encode_normal,
    encode_semseg,
    fit,
    pad,
    random_crop,
    resize,
    semseg_target,
    standardize_depth,
)
from multimae.modalities import IMAGENET_MEAN, IMAGENET_STD


@pytest.mark.parametrize("seed", range(5))
def test_standardisation_equals_a_sort(seed: int) -> None:
    depth = torch.rand(1, 23, 31, generator=torch.Generator().manual_seed(seed)) * 9000
    known = depth > 1000
    values = np.sort(depth[known].numpy().astype(np.float64))
    middle = values[int(0.1 * len(values)) : int(0.9 * len(values))]
    expected = (depth.numpy() - middle.mean()) / np.sqrt(middle.var(ddof=1) + 1e-6) * known.numpy()
    np.testing.assert_allclose(standardize_depth(depth, known=known).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_known", [0, 1, 2])
def test_too_few_pixels_standardise_to_zero(num_known: int) -> None:
    depth = torch.arange(1.0, 13.0).view(1, 3, 4)
    known = torch.zeros_like(depth, dtype=torch.bool)
    known.view(-1)[:num_known] = True
    assert torch.equal(standardize_depth(depth, known=known), torch.zeros_like(depth))


def test_a_flat_map_standardises_to_zero() -> None:
    depth = torch.full((1, 8, 8), 2500.0)
    assert torch.equal(standardize_depth(depth, known=depth > 0), torch.zeros_like(depth))


def test_untrusted_depth_counts_but_becomes_the_mean() -> None:
    depth = NearestMap(torch.rand(1, 16, 16) * 5000 + 500)
    trusted = torch.full((1, 16, 16), 255, dtype=torch.uint8)
    trusted[:, :4] = 0
    everywhere, partly = (
        encode_depth({"depth": depth}),
        encode_depth({"depth": depth, "mask_valid": NearestMap(trusted)}),
    )
    assert (partly[:, :4] == 0).all()
    assert torch.equal(partly[:, 4:], everywhere[:, 4:])


def test_longer_and_shorter_side_fit_as_in_the_reference() -> None:
    assert fit((480, 640), size=128, side="longer") == (96, 128)
    assert fit((480, 640), size=256, side="shorter") == (256, 341)
    assert fit((1, 640), size=64, side="longer") == (1, 64)


@pytest.mark.parametrize("to", [(7, 9), (20, 31), (13, 17), (50, 40)])
def test_maps_resize_to_the_centre_most_pixel(to: tuple[int, int]) -> None:
    stored = torch.randint(0, 255, (1, 13, 17), dtype=torch.uint8)
    resized = functional.resize(NearestMap(stored), list(to))
    assert isinstance(resized, NearestMap)
    expected = interpolate(stored[None].float(), size=to, mode="nearest-exact")[0].byte()
    assert torch.equal(resized.as_subclass(torch.Tensor), expected)


def test_rgb_resizes_as_pillow_does() -> None:
    array = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    rgb = tv_tensors.Image(torch.from_numpy(array).permute(2, 0, 1))
    filters: tuple[tuple[Any, Any], ...] = (
        ("bicubic", Image.Resampling.BICUBIC),
        ("antialiased", Image.Resampling.BILINEAR),
    )
    for rgb_filter, pillow in filters:
        ours = resize({"rgb": rgb}, to=(16, 24), rgb_filter=rgb_filter)["rgb"].permute(1, 2, 0).numpy()
        theirs = np.asarray(Image.fromarray(array).resize((24, 16), pillow))
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_smooth_depth_keeps_holes_and_their_neighbours_clean() -> None:
    stored = torch.full((1, 32, 32), 3000.0)
    stored[:, 8:16, 8:16] = 0
    resized = functional.resize(SmoothDepth(stored), [16, 16])
    assert type(resized) is SmoothDepth
    resized = resized.as_subclass(torch.Tensor)
    assert (resized[:, 4:8, 4:8] == 0).all()
    assert int((resized == 0).sum()) == 16
    torch.testing.assert_close(resized[resized > 0].mean().item(), 3000.0)
    assert resized[resized > 0].min() > 2990


def test_smooth_depth_without_any_value_stays_empty() -> None:
    assert (functional.resize(SmoothDepth(torch.zeros(1, 8, 8)), [4, 4]) == 0).all()


def test_mirrored_normals_turn_their_x_around() -> None:
    vectors = torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.0, 1.0], [-0.28, 0.96, 0.0]])
    stored = ((vectors.T[:, None] + 1) * 127.5).round().byte()
    stored = torch.cat([stored, torch.zeros(3, 1, 1, dtype=torch.uint8)], dim=2)
    mirrored = functional.horizontal_flip(NormalMap(stored))
    decoded = encode_normal(mirrored.as_subclass(torch.Tensor))
    expected = torch.cat([vectors * torch.tensor([-1.0, 1.0, 1.0]), torch.zeros(1, 3)]).T[:, None].flip(-1)
    torch.testing.assert_close(decoded, expected, atol=0.5 / 127.5 + 1e-6, rtol=0)
    assert (decoded[:, 0, 0] == 0).all()


def test_other_maps_mirror_without_a_change_of_value() -> None:
    for kind in (NearestMap, SmoothDepth):
        stored = torch.rand(1, 5, 7)
        assert torch.equal(functional.horizontal_flip(kind(stored)).as_subclass(torch.Tensor), stored.flip(-1))


def test_padding_says_that_nothing_is_there() -> None:
    maps = {
        "rgb": tv_tensors.Image(torch.full((3, 4, 6), 9, dtype=torch.uint8)),
        "semseg": NearestMap(torch.ones(1, 4, 6, dtype=torch.uint8)),
        "depth": NearestMap(torch.full((1, 4, 6), 700.0)),
    }
    padded = pad(maps, size=6)
    assert {map_.shape[-2:] for map_ in padded.values()} == {(6, 6)}
    assert (padded["rgb"][:, 4:] == 128).all()
    assert (padded["rgb"][:, :4] == 9).all()
    assert (semseg_target(padded["semseg"].as_subclass(torch.Tensor))[4:] == 255).all()
    assert (padded["depth"][:, 4:] == 0).all()


def test_crops_leave_short_sides_whole() -> None:
    maps: dict[str, torch.Tensor] = {"depth": NearestMap(torch.arange(60.0).view(1, 5, 12))}
    starts = set()
    for _ in range(60):
        cut = random_crop(maps, size=8)["depth"]
        assert cut.shape == (1, 5, 8)
        starts.add(int(cut[0, 0, 0]))
    assert starts == set(range(5))
    assert int(centre_crop(maps, size=4)["depth"][0, 0, 0]) == 4


def test_rgb_is_normalised_by_imagenet() -> None:
    rgb = torch.randint(0, 255, (3, 4, 5), dtype=torch.uint8)
    mean, std = (np.array(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    np.testing.assert_allclose(
        encode_image(rgb, mean=IMAGENET_MEAN, std=IMAGENET_STD).numpy(),
        (rgb.numpy() / 255 - mean) / std,
        rtol=1e-5,
        atol=1e-6,
    )


def test_labels_become_classes() -> None:
    stored = torch.tensor([0, 1, 40], dtype=torch.uint8).repeat_interleave(4).expand(1, 4, 12)
    assert semseg_target(stored)[0, ::4].tolist() == [255, 0, 39]
    assert encode_semseg(stored, num_classes=40).tolist() == [[40, 0, 39]]

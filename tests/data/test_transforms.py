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
    encode,
    encode_depth,
    encode_domain,
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
from multimae.tables.modalities import IMAGENET_MEAN, IMAGENET_STD
from tests.made import tiny_dataset


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


@pytest.mark.parametrize("to", [(16, 24), (37, 61), (55, 90), (3, 4)])
def test_four_pixels_however_far_it_shrinks(to: tuple[int, int]) -> None:
    rgb = tv_tensors.Image(torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8))
    ours = resize({"rgb": rgb}, to=to, rgb_filter="bilinear")["rgb"]
    assert type(ours) is tv_tensors.Image
    plain = interpolate(rgb.as_subclass(torch.Tensor)[None].float(), size=to, mode="bilinear", align_corners=False)[0]
    # OpenCV weights with 11 bits and rounds, hence one level.
    assert (ours.as_subclass(torch.Tensor).float() - plain).abs().max() <= 1


@pytest.mark.parametrize("to", [(7, 9), (20, 31), (13, 17), (50, 40), (26, 34)])
def test_upper_left_corners_as_opencv_takes_them(to: tuple[int, int]) -> None:
    maps = {
        "semseg": NearestMap(torch.randint(0, 255, (1, 13, 17), dtype=torch.uint8)),
        "depth": NearestMap(torch.rand(1, 13, 17) * 9000),
        "normal": NormalMap(torch.randint(0, 255, (3, 13, 17), dtype=torch.uint8)),
        "principal_curvature": NearestMap(torch.rand(2, 13, 17)),
    }
    rows, columns = (np.arange(new) * old // new for new, old in zip(to, (13, 17), strict=True))
    for name, resized in resize(maps, to=to, rgb_filter="bilinear", map_filter="corner").items():
        assert type(resized) is type(maps[name])
        expected = maps[name].as_subclass(torch.Tensor)[:, rows][:, :, columns]
        assert torch.equal(resized.as_subclass(torch.Tensor), expected)


@pytest.mark.parametrize("to", [(16, 24), (40, 31), (70, 90)])
def test_smooth_depth_resizes_as_pillow_does(to: tuple[int, int]) -> None:
    stored = np.random.default_rng(0).integers(2000, 9000, (40, 60)).astype(np.uint16)
    theirs = np.asarray(Image.fromarray(stored).resize(to[::-1], Image.Resampling.BICUBIC)).astype(float)
    ours = resize({"depth": SmoothDepth(torch.from_numpy(stored).float()[None])}, to=to, rgb_filter="bicubic")["depth"]
    # Pillow rounds twice, after each axis.
    np.testing.assert_allclose(ours.as_subclass(torch.Tensor)[0].numpy(), theirs, rtol=0, atol=2)


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
    # Five places, of which the reference's library never takes the last.
    assert starts == set(range(4))
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


def test_padding_takes_no_part_in_the_standardisation() -> None:
    depth = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(0)) * 5000 + 500
    depth[0, 3, 4] = 254.0  # a depth like any other, where the reference takes it for padding
    values = np.sort(depth.numpy().astype(np.float64).ravel())[60:540]
    expected = (depth.numpy() - values.mean()) / np.sqrt(values.var(ddof=1) + 1e-6)
    padded = encode_depth(pad({"depth": NearestMap(depth)}, size=32))
    np.testing.assert_allclose(padded[:, :20, :30].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert (padded[:, 20:] == 0).all()
    assert (padded[:, :, 30:] == 0).all()


def test_labels_become_classes() -> None:
    stored = torch.tensor([0, 1, 40], dtype=torch.uint8).repeat_interleave(4).expand(1, 4, 12)
    assert semseg_target(stored)[0, ::4].tolist() == [255, 0, 39]
    assert encode_semseg(stored, num_classes=40).tolist() == [[40, 0, 39]]


def test_a_quarter_is_one_pixel_of_every_block() -> None:
    stored = torch.arange(1, 65, dtype=torch.uint8).view(1, 8, 8)
    assert encode_semseg(stored, num_classes=99).tolist() == [[18, 22], [50, 54]]
    assert encode_semseg(stored, num_classes=99, map_filter="corner").tolist() == [[0, 4], [32, 36]]


def test_domains_are_shares_of_their_full_scale() -> None:
    codes = torch.tensor([[[0.0, 4000.0, 8000.0, 65535.0]]])
    assert encode_domain(codes, full_scale=8000.0).tolist() == [[[0.0, 0.5, 1.0, 1.0]]]
    spec = tiny_dataset.SPEC
    assert encode("depth_zbuffer", {"depth_zbuffer": NearestMap(codes)}, spec=spec, map_filter="corner").max() == 1

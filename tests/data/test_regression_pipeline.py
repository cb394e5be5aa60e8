"""Taskonomy's domains from files to targets: codes, scales, validity, alignment with what is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from multimae.data.decode import blank, decode
from multimae.data.maps import Sample
from multimae.data.pipelines.regression import RegressionAugmentation, RegressionEvaluation, regression_targets
from multimae.data.sample import DataError
from multimae.data.spec import spec
from multimae.tables.modalities import MODALITIES

ROOMS = spec("rooms")
DOMAINS = [name for name, item in MODALITIES.items() if item.kind == "domain"]


def sample(height: int = 48, width: int = 48, **maps: Tensor) -> Sample:
    rgb = torch.arange(height * width * 3).reshape(3, height, width).remainder(256).to(torch.uint8)
    return Sample(name="1", spec=ROOMS, maps={"rgb": rgb, **maps})


def codes(value: int, *, channels: int = 1, dtype: torch.dtype = torch.uint16, size: int = 48) -> Tensor:
    return torch.full((channels, size, size), value).to(dtype)


def written(path: Path, array: np.ndarray[Any, Any]) -> Path:
    Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    ("target", "stored", "expected"),
    [
        ("depth_zbuffer", codes(4000), 0.5),
        ("depth_zbuffer", codes(20000), 1.0),  # beyond 15.6 m
        ("edge_texture", codes(8192), 8192 / 16383.75),
        ("edge_texture", codes(40000), 1.0),
        ("edge_occlusion", codes(13107), 0.2),
        ("keypoints2d", codes(6553), 6553 / 65535),
        ("keypoints3d", codes(65535), 1.0),
        ("reshading", codes(51, dtype=torch.uint8), 0.2),
        ("normal", codes(255, channels=3, dtype=torch.uint8), 1.0),
        ("principal_curvature", codes(102, channels=2, dtype=torch.uint8), 0.4),
    ],
)
def test_codes_become_the_references_numbers(target: str, stored: Tensor, expected: float) -> None:
    pipeline = RegressionEvaluation(inputs=("rgb",), target=target, size=32, protocol="paper")
    example = pipeline(sample(**{target: stored}))
    found = example["targets"]["target"]
    assert found.shape == (MODALITIES[target].num_channels, 32, 32)
    torch.testing.assert_close(found, torch.full_like(found, expected))
    assert example["targets"]["mask_valid"].all()


def test_a_whole_block_is_invalid_where_one_pixel_of_it_is() -> None:
    mask = codes(255, dtype=torch.uint8)
    mask[0, 5, 9] = 0
    pipeline = RegressionEvaluation(inputs=("rgb",), target="reshading", size=48, protocol="paper")
    target = codes(100, dtype=torch.uint8)
    valid = pipeline(sample(reshading=target, mask_valid=mask))["targets"]["mask_valid"]
    assert (~valid).nonzero().tolist() == [[0, row, column] for row in range(4, 8) for column in range(8, 12)]
    exact = RegressionEvaluation(inputs=("rgb",), target="reshading", size=48, protocol="standard")
    assert (~exact(sample(reshading=target, mask_valid=mask))["targets"]["mask_valid"]).sum() == 1


def test_unmeasured_depth_and_missing_normals_are_invalid_without_a_mask() -> None:
    depth, normal = codes(1000), codes(200, channels=3, dtype=torch.uint8)
    depth[0, 0, 0], normal[:, 0, 1] = 65535, 0
    for target, stored, place in (("depth_zbuffer", depth, (0, 0)), ("normal", normal, (0, 1))):
        maps = {"rgb": sample().maps["rgb"], target: stored.float()}
        found = regression_targets(maps, target=target, dilation=1)
        assert (~found["mask_valid"][0]).nonzero().tolist() == [list(place)]
        assert (found["target"][:, place[0], place[1]] == 0).all()


def test_occlusion_edges_are_blurred_and_nothing_else_is() -> None:
    line = codes(0)
    line[0, 24, :] = 65535
    for target in ("edge_occlusion", "keypoints2d"):
        found = regression_targets({target: line.float()}, target=target, dilation=1)["target"][0]
        beside = found[23, 24].item()
        # A Gaussian of sigma 1 over three pixels: weights 0.274, 0.452, 0.274.
        assert beside == pytest.approx(0.274 if target == "edge_occlusion" else 0.0, abs=1e-3)


def test_the_standard_protocol_keeps_the_aspect_and_scores_at_original_resolution() -> None:
    stored = torch.zeros(1, 60, 90).to(torch.uint8)
    pipeline = RegressionEvaluation(inputs=("rgb",), target="reshading", size=32, protocol="standard")
    example = pipeline(sample(height=60, width=90, reshading=stored))
    assert example["inputs"]["rgb"].shape == (3, 32, 48)
    assert example["targets"]["target"].shape == (1, 60, 90)
    squeezed = RegressionAugmentation(inputs=("rgb",), target="reshading", size=32)
    assert squeezed(sample(height=60, width=90, reshading=stored))["inputs"]["rgb"].shape == (3, 32, 32)


def test_mirroring_moves_input_and_target_alike() -> None:
    ramp = torch.arange(48).expand(1, 48, 48).to(torch.uint16)
    image = ramp.to(torch.uint8).expand(3, 48, 48)
    pipeline = RegressionAugmentation(inputs=("rgb",), target="keypoints2d", size=48, hflip_prob=1.0)
    example = pipeline(Sample(name="1", spec=ROOMS, maps={"rgb": image, "keypoints2d": ramp}))
    assert example["targets"]["target"][0, 0, 0] == 47 / 65535
    assert example["inputs"]["rgb"][0, 0, 0] > example["inputs"]["rgb"][0, 0, -1]


def test_what_has_no_scale_is_no_target() -> None:
    with pytest.raises(ValueError, match="'semseg', which has no scale"):
        RegressionAugmentation(inputs=("rgb",), target="semseg", size=32)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_blank_domain_is_stored_as_a_real_one(domain: str, tmp_path: Path) -> None:
    empty = blank(modality=domain, height=6, width=8)
    eight_bits = MODALITIES[domain].full_scale <= 255
    shape = (6, 8, 3) if MODALITIES[domain].num_channels == 2 else (6, 8)
    dtype = np.uint8 if eight_bits else np.uint16
    stored = decode(written(tmp_path / "1.png", np.zeros(shape, dtype)), modality=domain, spec=ROOMS)
    assert (stored.shape, stored.dtype) == (empty.shape, empty.dtype)


def test_a_domain_in_other_bits_is_refused_by_name(tmp_path: Path) -> None:
    shallow = written(tmp_path / "shallow.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"shallow\.png: keypoints2d has 8 bits .* wanted 16"):
        decode(shallow, modality="keypoints2d", spec=ROOMS)
    deep = written(tmp_path / "deep.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(DataError, match=r"deep\.png: reshading has 16 bits .* wanted 8"):
        decode(deep, modality="reshading", spec=ROOMS)
    grey = written(tmp_path / "grey.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"grey\.png: principal_curvature has 1 channels, wanted 2"):
        decode(grey, modality="principal_curvature", spec=ROOMS)


def test_reshading_stored_in_colour_is_read_by_its_first_channel(tmp_path: Path) -> None:
    colour = np.dstack([np.full((4, 4), value, np.uint8) for value in (10, 20, 30)])
    assert (decode(written(tmp_path / "1.png", colour), modality="reshading", spec=ROOMS) == 10).all()

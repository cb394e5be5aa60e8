"""The size a network sees an image at, and the codes its predictions become."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from multimae.pseudo_labels import formats
from multimae.pseudo_labels.labeller import InputSize


@pytest.mark.parametrize(
    ("size", "rule", "expected"),
    [
        ((480, 640), InputSize(min_side=384), (384, 512)),
        ((240, 320), InputSize(min_side=384), (384, 512)),
        ((333, 500), InputSize(min_side=384, max_side=800), (384, 576)),  # 384 and 576.6
        ((500, 700), InputSize(min_side=384, max_side=800), (512, 704)),  # as it is, to the nearest multiples
        ((1500, 2000), InputSize(min_side=384, max_side=800), (608, 800)),  # 600 and 800
        ((100, 2000), InputSize(min_side=384), (64, 1536)),  # a panorama: the longer side counts
        ((75, 101), InputSize(min_side=56, multiple_of=14), (56, 70)),
        ((3, 500), InputSize(min_side=64, max_side=100), (32, 96)),
    ],
)
def test_a_network_sees_the_nearest_multiples_within_the_limits(
    size: tuple[int, int], rule: InputSize, expected: tuple[int, int]
) -> None:
    assert rule.of(size) == expected


def test_depth_is_whole_millimetres_and_no_number_is_invalid() -> None:
    depth = torch.tensor([[1499.6, -3.0, 0.2], [1e6, float("nan"), float("inf")]])
    codes = formats.encode_millimetres(depth)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [[1500, 1, 1], [65535, 0, 0]]


def test_relative_depth_fills_the_range_and_larger_is_farther() -> None:
    depth = torch.tensor([[2.0, 4.0], [3.0, float("nan")]])
    assert formats.encode_relative(depth, larger_is="farther").tolist() == [[1, 65535], [32768, 0]]
    assert formats.encode_relative(depth, larger_is="nearer").tolist() == [[65535, 1], [32768, 0]]
    assert formats.encode_relative(torch.full((2, 2), 7.0), larger_is="farther").tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("num_classes", [1, 16, 40, 133, 256])
def test_classes_are_the_best_of_all_resized_scores(num_classes: int) -> None:
    scores = torch.randn(num_classes, 7, 9, generator=torch.Generator().manual_seed(num_classes))
    whole = F.interpolate(scores[None], size=(31, 45), mode="bilinear", align_corners=False)[0].argmax(dim=0)
    codes = formats.encode_classes(scores, to=(31, 45), first_code=0)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, whole.numpy())


def test_normals_are_unit_vectors_in_eight_bits() -> None:
    normals = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [-5.0, 0.0, 0.0]])[:, None]
    codes = formats.encode_normals(normals)
    assert codes.shape == (1, 3, 3)
    assert codes.tolist() == [[[128, 128, 0], [255, 128, 128], [0, 0, 0]]]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    assert not formats.is_whole(path)
    formats.write_map(path, np.arange(4000, dtype=np.uint16).reshape(50, 80))
    assert formats.is_whole(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.png"]
    content = path.read_bytes()
    for torn in (content[:-1], content[:200], content[:4], b"", b"\0" * len(content)):
        path.write_bytes(torn)
        assert not formats.is_whole(path)

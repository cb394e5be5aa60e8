"""Sliding windows and mirrored images, against numpy versions of a few lines."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from multimae.inference import average_flipped, slide
from multimae.layers import Grid
from multimae.transfer import MultiMAETransfer

BACKBONE = {"type": "multimae.MultiMAE", "image_size": 64, "dim": 32, "depth": 1, "num_heads": 4}
HEADS = {
    "map": {"type": "multimae.ConvNeXtHead", "token_dim": 64, "depth": 1, "num_outputs": 5},
    "vector": {"type": "multimae.probe", "output": "vector", "num_outputs": 5},
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def model(head: str = "map", *, modalities: tuple[str, ...] = ("rgb", "depth")) -> MultiMAETransfer:
    backbone = {**BACKBONE, "modalities": list(modalities), "num_semseg_classes": 7}
    return MultiMAETransfer(backbone=backbone, head=HEADS[head], loss="cross_entropy").eval()


def images(height: int, width: int, *, batch: int = 2) -> dict[str, Tensor]:
    return {"rgb": torch.randn(batch, 3, height, width), "depth": torch.randn(batch, 1, height, width)}


def local(inputs: Mapping[str, Tensor]) -> Tensor:
    """Answer with the input times what depends on the place in the window, as an encoder's positions do."""
    rgb = inputs["rgb"]
    ramp = torch.arange(rgb.shape[-2])[:, None] + 3.0 * torch.arange(rgb.shape[-1])
    return rgb[:, :2] * (1 + ramp)


def numpy_slide(image: np.ndarray, *, window: int, stride: int) -> np.ndarray:
    """mmsegmentation's `slide` mode around `local`."""
    height, width = image.shape[-2:]
    total, count = np.zeros((len(image), 2, height, width)), np.zeros((height, width))
    ramp = 1 + np.arange(window)[:, None] + 3.0 * np.arange(window)
    for row in range(max(height - window + stride - 1, 0) // stride + 1):
        for column in range(max(width - window + stride - 1, 0) // stride + 1):
            top, left = min(row * stride, height - window), min(column * stride, width - window)
            box = (..., slice(top, top + window), slice(left, left + window))
            total[box] += image[:, :2][box] * ramp
            count[box] += 1
    return total / count


@pytest.mark.parametrize(("height", "width"), [(64, 160), (176, 64), (112, 240), (64, 64), (64, 80)])
def test_windows_are_averaged_as_numpy_does(height: int, width: int) -> None:
    inputs = {"rgb": torch.rand(2, 3, height, width)}
    answer = slide(inputs, forward=local, grid=Grid(height // 16, width // 16), window=4)
    expected = numpy_slide(inputs["rgb"].numpy(), window=64, stride=32)  # two thirds of four patches are two
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_windows_of_512_advance_by_21_patches() -> None:
    seen = []

    def forward(inputs: Mapping[str, Tensor]) -> Tensor:
        seen.append(int(inputs["rgb"][0, 0, 0, 0]))
        return inputs["rgb"]

    columns = torch.arange(1360.0).expand(1, 1, 512, 1360)
    assert torch.equal(slide({"rgb": columns}, forward=forward, grid=Grid(32, 85), window=32), columns)
    assert seen == [0, 336, 672, 848]


def test_label_maps_are_cut_at_the_same_place() -> None:
    rows = torch.arange(96).view(1, 1, 96, 1) // 4
    inputs = {"rgb": rows.expand(1, 3, 96, 64).float(), "semseg": torch.arange(24).view(1, 24, 1).expand(1, 24, 16)}

    def difference(windows: Mapping[str, Tensor]) -> Tensor:
        enlarged = windows["semseg"].repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
        assert windows["rgb"].shape[-2:] == enlarged.shape[-2:] == (64, 64)
        return (windows["rgb"][:, :1] - enlarged[:, None]).abs()

    assert slide(inputs, forward=difference, grid=Grid(6, 4), window=4).max() == 0


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 64), (32, 32)])
def test_what_fits_one_window_is_seen_whole(height: int, width: int) -> None:
    transfer, inputs = model(), images(height, width)
    whole, windows = (transfer.predict(inputs, inference=way) for way in ("whole", "slide"))
    assert all(torch.equal(*pair) for pair in zip(whole, windows, strict=True))
    larger = images(64, 128)
    whole, windows = (transfer.predict(larger, inference=way) for way in ("whole", "slide"))
    assert windows[0].shape == whole[0].shape == (5, 64, 128)
    assert not torch.allclose(whole[0], windows[0], atol=1e-3)


def test_flip_averages_with_the_mirror_image_as_numpy_does() -> None:
    image = torch.rand(2, 3, 8, 12)
    answer = average_flipped({"rgb": image}, forward=local).numpy()
    ramp = 1 + np.arange(8)[:, None] + 3.0 * np.arange(12)
    plain = image.numpy()[:, :2]
    np.testing.assert_allclose(answer, (plain * ramp + (plain[..., ::-1] * ramp)[..., ::-1]) / 2, rtol=1e-5)


def test_flip_changes_nothing_that_is_symmetric() -> None:
    inputs = images(64, 64)
    pointwise = average_flipped(inputs, forward=lambda maps: maps["rgb"].square() + maps["depth"])
    torch.testing.assert_close(pointwise, inputs["rgb"].square() + inputs["depth"])
    symmetric = {name: map_ + map_.flip(-1) for name, map_ in inputs.items()}
    transfer = model()
    plain, answers = (torch.stack(transfer.predict(symmetric, flip=way)) for way in ("none", "average"))
    torch.testing.assert_close(answers, answers.flip(-1))
    assert not torch.allclose(plain, plain.flip(-1), atol=1e-4)


def test_flip_turns_the_x_of_normals_around() -> None:
    normal = torch.rand(2, 3, 4, 6) * 2 - 1
    normal[:, :, 0] = 0.0  # missing ones
    seen: list[Tensor] = []

    def shares(inputs: Mapping[str, Tensor]) -> Tensor:
        seen.append(inputs["normal"])
        return (inputs["normal"] + 1) / 2

    answer = average_flipped({"normal": normal}, forward=shares, target="normal")
    torch.testing.assert_close(answer, (normal + 1) / 2)
    torch.testing.assert_close(seen[0], (normal * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]).flip(-1))
    assert not torch.allclose(average_flipped({"normal": normal}, forward=shares), answer)


def test_flip_works_for_vectors_and_with_windows() -> None:
    inputs = images(64, 128)
    mirrored = {name: map_.flip(-1) for name, map_ in inputs.items()}
    classifier = model("vector")
    expected = (classifier(inputs) + classifier(mirrored)) / 2
    torch.testing.assert_close(torch.stack(classifier.predict(inputs, flip="average")), expected)
    transfer = model()
    plain, other = (torch.stack(transfer.predict(maps, inference="slide")) for maps in (inputs, mirrored))
    both = torch.stack(transfer.predict(inputs, inference="slide", flip="average"))
    torch.testing.assert_close(both, (plain + other.flip(-1)) / 2)


@pytest.mark.parametrize(
    ("head", "size", "message"),
    [
        ("vector", (64, 64), "averages maps, but the head answers vectors of 5 values"),
        ("map", (64, 100), "64x100 does not divide into patches"),
    ],
)
def test_mistakes_are_named(head: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(head).predict(images(*size), inference="slide")

"""What augmentations draw is distributed as section 3.3 of the reference facts says, box by box and coin by coin."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from multimae.data.pipelines import classification, pretraining
from multimae.data.pipelines import pipeline as shared
from multimae.data.pipelines.classification import ClassificationAugmentation
from multimae.data.pipelines.depth import DepthAugmentation
from multimae.data.pipelines.pretraining import PretrainingAugmentation
from multimae.data.pipelines.semseg import SemsegAugmentation
from tests.made.coordinates import make_sample, moved_maps

FALSE_ALARM = 1e-6
"""How often a right implementation would fail one of these tests, if seeds were not fixed."""
DRAWS = 1000
HEIGHT, WIDTH = 100, 80


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def crops(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, *, module: Any, height: int, width: int
) -> dict[str, np.ndarray]:
    """Return the boxes that a pipeline cuts out of an image, as one array per edge and side."""
    boxes: list[dict[str, int]] = []
    original = module.crop
    monkeypatch.setattr(module, "crop", lambda maps, **box: (boxes.append(box), original(maps, **box))[1])
    sample = make_sample(height, width, axis="row")
    for _ in range(DRAWS):
        pipeline(sample)
    return {name: np.array([box[name] for box in boxes]) for name in boxes[0]}


def expected_sides(height: int, width: int, *, scale: tuple[float, float]) -> np.ndarray:
    """Draw the sides of boxes by the rule itself: uniform area, log-uniform aspect, again until it fits."""
    rng, sides = np.random.default_rng(1), []
    while len(sides) < 4 * DRAWS:
        area, aspect = rng.uniform(*scale) * height * width, np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        rows, columns = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
        if rows <= height and columns <= width:
            sides.append((rows, columns))
    return np.array(sides).T


@pytest.mark.parametrize(
    ("kind", "module", "scale"),
    [
        (PretrainingAugmentation, pretraining, (0.2, 1.0)),
        (ClassificationAugmentation, classification, (0.08, 1.0)),
    ],
)
def test_boxes_are_uniform_in_area_and_place(
    kind: Any, module: Any, scale: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = crops(kind(inputs=("semseg",), size=16), monkeypatch, module=module, height=HEIGHT, width=WIDTH)
    areas = found["height"] * found["width"] / (HEIGHT * WIDTH)
    # Sides are rounded; 1000 draws come that close to the smallest share but for one time in a billion.
    assert 0.95 * scale[0] < areas.min() < scale[0] + 0.02
    rows, columns = expected_sides(HEIGHT, WIDTH, scale=scale)
    for ours, expected in (
        (found["height"] * found["width"], rows * columns),
        (found["width"] / found["height"], columns / rows),
    ):
        assert stats.ks_2samp(ours, expected).pvalue > FALSE_ALARM
    # The places are the integers up to what is left beside the box: spread them out, and they fill [0, 1].
    for start, left in ((found["top"], HEIGHT - found["height"]), (found["left"], WIDTH - found["width"])):
        places = (start + np.random.default_rng(2).random(DRAWS)) / (left + 1)
        assert stats.kstest(places, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (PretrainingAugmentation, {}),
        (ClassificationAugmentation, {}),
        (SemsegAugmentation, {"scale_min": 1.0, "scale_max": 1.0}),
        (DepthAugmentation, {}),
    ],
)
def test_every_second_image_is_mirrored(kind: Any, settings: dict[str, Any]) -> None:
    sample, pipeline = make_sample(32, 32, axis="column"), kind(inputs=("semseg", "depth"), size=32, **settings)
    mirrored = 0
    for _ in range(DRAWS):
        line = moved_maps(pipeline, sample)["semseg"][0, 0].int()
        mirrored += bool(line[0] > line[-1])
    assert stats.binomtest(mirrored, DRAWS, 0.5).pvalue > FALSE_ALARM


def test_zooms_are_uniform_and_cut_to_whole_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    original = shared.resize
    monkeypatch.setattr(shared, "resize", lambda maps, **how: (sizes.append(how["to"]), original(maps, **how))[1])
    pipeline, sample = SemsegAugmentation(inputs=("semseg",), size=100), make_sample(110, 80, axis="row")
    for _ in range(DRAWS):
        pipeline(sample)
    fitted, zoomed = np.array(sizes[::2]), np.array(sizes[1::2])
    assert (fitted == (100, 73)).all()  # 80 * 100 / 110 = 72.7
    # A height h is what is left of every zoom from h / 100 to (h + 1) / 100.
    zooms = (zoomed[:, 0] + np.random.default_rng(0).random(DRAWS)) / 100
    assert stats.kstest(zooms, stats.uniform(0.1, 1.9).cdf).pvalue > FALSE_ALARM
    assert (zoomed[:, 1] <= 0.73 * (zoomed[:, 0] + 1)).all()
    assert (zoomed[:, 1] > 0.73 * zoomed[:, 0] - 1).all()


def test_squares_are_cut_out_anywhere_but_at_the_last_place() -> None:
    sample, pipeline = make_sample(48, 32, axis="row"), DepthAugmentation(inputs=("semseg",), size=32, hflip_prob=0.0)
    starts = [int(moved_maps(pipeline, sample)["semseg"][0, 0, 0] - 1) // 2 for _ in range(DRAWS)]
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == list(range(16))
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("kind", "settings", "rate"),
    [
        (SemsegAugmentation, {"scale_min": 1.0, "scale_max": 1.0}, 0.5),
        (DepthAugmentation, {"grey_prob": 0.0}, 0.5),
        (DepthAugmentation, {"color_jitter_prob": 0.0}, 0.3),
    ],
)
def test_colours_change_as_often_as_they_should(kind: Any, settings: dict[str, Any], rate: float) -> None:
    sample = make_sample(32, 32, axis="row")
    pipeline = kind(inputs=("rgb",), size=32, hflip_prob=0.0, **settings)
    changed = sum(not torch.equal(moved_maps(pipeline, sample)["rgb"], sample.maps["rgb"]) for _ in range(DRAWS))
    assert stats.binomtest(changed, DRAWS, rate).pvalue > FALSE_ALARM

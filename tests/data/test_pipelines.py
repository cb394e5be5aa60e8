"""What each pipeline makes of a sample; evaluation pipelines follow their protocols."""

import sys
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from multimae.data.colours import ColorJitter
from multimae.data.maps import Sample
from multimae.data.pipelines import pipeline as shared
from multimae.data.pipelines.depth import DepthAugmentation, DepthEvaluation
from multimae.data.pipelines.pretraining import PretrainingAugmentation, PretrainingEvaluation
from multimae.data.pipelines.semseg import SemsegAugmentation, SemsegEvaluation
from multimae.data.sets.nyuv2 import SPEC
from multimae.registry import TRANSFORMS
from tests.made import tiny_dataset
from tests.made.coordinates import moved_maps

ALL = ("rgb", "depth", "semseg", "normal")
AUGMENTATIONS: dict[type, dict[str, Any]] = {
    PretrainingAugmentation: {},
    SemsegAugmentation: {"color_jitter_prob": 0.0},
    DepthAugmentation: {"color_jitter_prob": 0.0, "grey_prob": 0.0},
}
EVALUATIONS: dict[type, dict[str, Any]] = {
    PretrainingEvaluation: {},
    SemsegEvaluation: {"protocol": "paper"},
    DepthEvaluation: {"protocol": "standard"},
}


def make_sample(**changes: np.ndarray) -> Sample:
    arrays = {**tiny_dataset.maps(), **changes}
    planes = {name: array[None] if array.ndim == 2 else array.transpose(2, 0, 1) for name, array in arrays.items()}
    return Sample(name="0001", spec=SPEC, maps={name: torch.from_numpy(plane.copy()) for name, plane in planes.items()})


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_mirroring_follows_its_probability(kind: type) -> None:
    for prob, direction in ((0.0, 1), (1.0, -1)):
        pipeline = kind(inputs=ALL, size=32, **{**AUGMENTATIONS[kind], "hflip_prob": prob})
        for _ in range(5):
            rgb = moved_maps(pipeline, make_sample())["rgb"][0].float()
            assert (rgb.diff(dim=1) * direction).mean() > 0


@pytest.mark.parametrize("kind", [SemsegAugmentation, DepthAugmentation])
def test_colours_change_rgb_only(kind: type) -> None:
    sample = make_sample(rgb=np.full((48, 64, 3), (200, 100, 50), dtype=np.uint8))
    greyed = {} if kind is SemsegAugmentation else {"grey_prob": 0.0}
    colours = set()
    for _ in range(8):
        maps = moved_maps(kind(inputs=ALL, size=32, color_jitter_prob=1.0, **greyed), sample)
        colours.add(tuple(maps["rgb"][:, 0, 0].tolist()))
        for name in ("depth", "semseg", "mask_valid", "normal"):
            stored = np.unique(sample.maps[name].numpy())
            allowed = [*stored, *(255 - stored.astype(int))]
            assert np.isin(maps[name].numpy(), allowed).all()
    assert len(colours) > 4
    assert (200, 100, 50) not in colours


def test_grey_has_no_colour() -> None:
    pipeline = DepthAugmentation(inputs=("rgb",), size=32, color_jitter_prob=0.0, grey_prob=1.0)
    rgb = moved_maps(pipeline, make_sample())["rgb"]
    assert torch.equal(rgb[0], rgb[1])
    assert torch.equal(rgb[0], rgb[2])


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (PretrainingAugmentation, ["crop", "resize", "flip"]),
        (SemsegAugmentation, ["flip", "resize", "recolour", "resize", "crop", "pad"]),
        (DepthAugmentation, ["resize", "flip", "recolour", "recolour", "crop"]),
    ],
)
def test_steps_come_in_the_references_order(kind: type, order: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    steps = ("crop", "random_crop", "resize", "random_flip", "recolour", "pad")
    modules = (sys.modules[kind.__module__], shared)
    for module, name in ((module, name) for module in modules for name in steps if hasattr(module, name)):
        step, plain = getattr(module, name), name.removeprefix("random_")
        monkeypatch.setattr(module, name, lambda *a, _s=step, _n=plain, **k: (taken.append(_n), _s(*a, **k))[1])
    kind(inputs=("rgb", "depth"), size=32)(make_sample())
    assert taken == order


def test_the_references_numbers_are_the_defaults() -> None:
    pretraining = PretrainingAugmentation(inputs=ALL, size=224)
    assert (pretraining.box.scale, pretraining.box.ratio) == ((0.2, 1.0), (3 / 4, 4 / 3))
    semseg, depth = SemsegAugmentation(inputs=ALL, size=512), DepthAugmentation(inputs=ALL, size=256)
    assert (semseg.scale_min, semseg.scale_max) == (0.1, 2.0)
    assert semseg.jitter == ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    assert depth.jitter == ColorJitter(brightness=0.1255, contrast=0.4, saturation=0.5, hue=0.2)
    assert depth.grey_prob == 0.3
    assert [pipeline.hflip_prob for pipeline in (pretraining, semseg, depth)] == [0.5, 0.5, 0.5]
    assert [pipeline.color_jitter_prob for pipeline in (semseg, depth)] == [0.5, 0.5]


def test_zoom_pads_or_crops_to_size() -> None:
    for scale, content in ((0.5, (12, 16)), (1.0, (24, 32)), (2.0, (32, 32))):
        pipeline = SemsegAugmentation(inputs=ALL, size=32, scale_min=scale, scale_max=scale, color_jitter_prob=0.0)
        example = pipeline(make_sample())
        assert tuple(example["meta"]["content_hw"].tolist()) == content
        target = example["targets"]["semseg"]
        assert target.shape == (32, 32)
        assert (target[content[0] :] == 255).all()
        assert (target[:, content[1] :] == 255).all()
        assert (target[: content[0], : content[1]] != 255).all()
        assert (example["inputs"]["depth"][:, content[0] :] == 0).all()


@pytest.mark.parametrize(("resizing", "first"), [("opencv", 0), ("antialiased", 2)])
def test_input_and_target_are_the_same_labels(resizing: Literal["opencv", "antialiased"], first: int) -> None:
    zoom = {"scale_min": 0.5, "scale_max": 0.5}
    example = SemsegAugmentation(inputs=("semseg",), size=32, resizing=resizing, **zoom)(make_sample())
    target = example["targets"]["semseg"][first::4, first::4]
    assert torch.equal(example["inputs"]["semseg"], torch.where(target == 255, SPEC.num_classes, target))


def test_semseg_protocols_differ_in_their_targets_only() -> None:
    paper, standard = (SemsegEvaluation(inputs=ALL, size=32, protocol=p)(make_sample()) for p in ("paper", "standard"))
    assert all(torch.equal(paper["inputs"][name], standard["inputs"][name]) for name in ALL)
    assert paper["inputs"]["rgb"].shape == (3, 32, 32)
    assert paper["targets"]["semseg"].shape == (32, 32)
    assert (paper["targets"]["semseg"][24:] == 255).all()
    assert np.array_equal(standard["targets"]["semseg"].numpy(), tiny_dataset.maps()["semseg"].astype(int) - 1)
    for example in (paper, standard):
        assert example["meta"]["content_hw"].tolist() == [24, 32]
        assert example["meta"]["original_hw"].tolist() == [48, 64]
        assert example["meta"]["name"] == "0001"


def test_depth_protocols_show_the_centre_or_everything() -> None:
    paper, standard = (
        DepthEvaluation(inputs=("rgb",), size=32, protocol=p)(make_sample()) for p in ("paper", "standard")
    )
    assert paper["inputs"]["rgb"].shape == (3, 32, 32)
    assert paper["targets"]["depth"].shape == paper["targets"]["mask_valid"].shape == (1, 32, 32)
    assert standard["inputs"]["rgb"].shape == (3, 32, 48)
    stored = tiny_dataset.maps()
    valid = stored["mask_valid"] == 255
    expected = (stored["depth"] - SPEC.depth_mean_mm) / SPEC.depth_std_mm * valid
    np.testing.assert_array_equal(standard["targets"]["mask_valid"][0].numpy(), valid)
    np.testing.assert_allclose(standard["targets"]["depth"][0].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_depth_without_mask_is_valid_where_measured() -> None:
    depth = tiny_dataset.maps()["depth"]
    depth[10:20] = 0
    sample = make_sample(depth=depth)
    sample = replace(sample, maps={name: map_ for name, map_ in sample.maps.items() if name != "mask_valid"})
    example = DepthEvaluation(inputs=("depth",), size=32, protocol="standard")(sample)
    np.testing.assert_array_equal(example["targets"]["mask_valid"][0].numpy(), depth > 0)


def test_pretraining_has_no_targets_and_any_inputs() -> None:
    for inputs in (("depth",), ("semseg", "rgb")):
        for pipeline in (
            PretrainingAugmentation(inputs=inputs, size=32),
            PretrainingEvaluation(inputs=inputs, size=32),
        ):
            example = pipeline(make_sample())
            assert tuple(example["inputs"]) == inputs
            assert example["targets"] == {}


def test_pretraining_boxes_have_the_papers_share() -> None:
    pipeline = PretrainingAugmentation(
        inputs=("semseg",), size=48, crop_scale_min=0.25, crop_scale_max=0.25, ratio=(1.0, 1.0), hflip_prob=0.0
    )
    labels = moved_maps(pipeline, make_sample(semseg=np.arange(48 * 64).reshape(48, 64) // 64))["semseg"]
    # A quarter of 48 x 64 pixels as a square has sides of sqrt(768) = 27.7 pixels, hence spans 28 rows.
    assert int(labels.max() - labels.min()) + 1 == 28


@pytest.mark.parametrize("kind", [*AUGMENTATIONS, *EVALUATIONS])
def test_pipelines_leave_the_cached_sample_alone(kind: type) -> None:
    sample = make_sample()
    before = {name: map_.clone() for name, map_ in sample.maps.items()}
    pipeline = kind(inputs=ALL, size=64, **EVALUATIONS.get(kind, {}))
    for _ in range(4):
        pipeline(sample)
    assert all(torch.equal(before[name], map_) for name, map_ in sample.maps.items())


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown inputs \['dpeth'\]; known: \['rgb', 'depth'"):
        PretrainingEvaluation(inputs=("dpeth",), size=32)
    with pytest.raises(ValueError, match="inputs is empty"):
        PretrainingEvaluation(inputs=(), size=32)
    with pytest.raises(ValueError, match="size is 0"):
        PretrainingEvaluation(inputs=("rgb",), size=0)
    sample = replace(make_sample(), maps={"rgb": make_sample().maps["rgb"]})
    with pytest.raises(KeyError, match=r"the pipeline wants \['semseg'\], sample '0001' has \['rgb'\]"):
        SemsegEvaluation(inputs=("rgb",), size=32, protocol="paper")(sample)


def test_pipelines_are_built_by_name() -> None:
    built = TRANSFORMS.build({"type": "multimae.PretrainingEvaluation", "inputs": ["rgb"], "size": 32})
    assert isinstance(built, PretrainingEvaluation)


def test_sliding_windows_get_an_image_of_one_window_on_its_shorter_side() -> None:
    maps = {"rgb": torch.zeros(3, 60, 90, dtype=torch.uint8), "semseg": torch.ones(1, 60, 90, dtype=torch.uint8)}
    wide = Sample(name="1", spec=SPEC, maps=maps)
    example = SemsegEvaluation(inputs=("rgb",), size=32, protocol="standard", side="shorter")(wide)
    assert example["inputs"]["rgb"].shape == (3, 32, 48)
    assert example["meta"]["content_hw"].tolist() == [32, 48]
    assert example["targets"]["semseg"].shape == (60, 90)

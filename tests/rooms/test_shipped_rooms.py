"""The shipped rooms are whole, consistent and enough to learn from."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data import coco
from multimae.data.open import open_dataset
from multimae.data.sets.rooms import CLASSES, COMPUTED, DOMAINS, SPEC
from multimae.rooms import archive, coco_labels
from multimae.rooms.archive import ARCHIVE, ARCHIVE_FRAMES, FOLDERS
from multimae.rooms.render import pack
from multimae.tables.modalities import MODALITIES
from tests.made.maps_on_disk import angle_off, pixels

# These name runs: another value would train every run on rooms again.
FINGERPRINTS = {
    ("rgb",): "55afe70111b3ab25eb7bfc83c426fc47fc414e65a00f9ce98e3aaf2e2debd703",
    ("rgb", "depth", "semseg"): "92c6b3f25e8244fae43c1427045256fca6bf2544815dd74e76796586a8c107b6",
    ("rgb", "normal"): "3a9fd7e762de509a7f92e191c7bc7d73173c93fa4498d94c7cf262197bf4ae72",
}
# Median, and mean deviation from it, of what is trained on; the second is the error of the best constant.
STORED = {
    "principal_curvature/0": (0.5020, 0.0367),
    "principal_curvature/1": (0.5020, 0.0259),
    "depth_zbuffer": (0.1796, 0.0438),
    "edge_texture": (0.0338, 0.0727),
    "edge_occlusion": (0.0000, 0.0101),
    "keypoints2d": (0.0426, 0.0535),
    "keypoints3d": (0.0284, 0.0887),
    "reshading": (0.7843, 0.1994),
}


def test_the_archive_is_small_and_the_one_the_module_names() -> None:
    data = ARCHIVE.read_bytes()
    assert len(data) <= 6_000_000
    assert hashlib.sha256(data).hexdigest() == archive.ARCHIVE_SHA256


def test_runs_on_the_shipped_rooms_keep_their_names(root: Path) -> None:
    # Part of the name of every run on rooms: with another value all of them would be trained again.
    found = open_dataset(root, SPEC).fingerprint(("train", "test"), ("depth", "rgb", "semseg"))
    assert found == "92c6b3f25e8244fae43c1427045256fca6bf2544815dd74e76796586a8c107b6"


def test_frames_are_aligned_by_name_and_have_one_size(root: Path) -> None:
    sixteen_bits = {"depth", *(name for name in DOMAINS if MODALITIES[name].full_scale > 255)}
    modes = {"rgb": "RGB", "normal": "RGB", "principal_curvature": "RGB", **dict.fromkeys(sixteen_bits, "I;16")}
    for split, frames in ARCHIVE_FRAMES.items():
        folders = (*FOLDERS, *COMPUTED)
        names = {folder: sorted(p.stem for p in (root / split / folder / "all").iterdir()) for folder in folders}
        assert len(names["rgb"]) == frames
        assert all(found == names["rgb"] for found in names.values())
        for folder in folders:
            for path in (root / split / folder / "all").iterdir():
                with Image.open(path) as image:
                    assert image.size == (160, 120), path
                    assert image.mode == modes.get(folder, "L"), path


@pytest.mark.parametrize(("name", "wanted"), STORED.items())
def test_domains_are_those_of_this_version(root: Path, name: str, wanted: tuple[float, float]) -> None:
    domain, channel = name.rsplit("/", 1) if "/" in name else (name, "0")
    frames = [pixels(path) for path in sorted((root / "test" / domain / "all").iterdir())]
    codes = np.stack([frame if frame.ndim == 2 else frame[..., int(channel)] for frame in frames])
    share = np.minimum(codes / MODALITIES[domain].full_scale, 1.0)
    median = np.median(share)
    found = (median, np.abs(share - median).mean())
    assert found == pytest.approx(wanted, abs=2e-4), "what is cached is stale: count archive.COMPUTED_VERSION up"


def test_labels_in_cocos_words_say_no_more_than_a_network_would(root: Path) -> None:
    in_coco = np.array([255, *(coco.CLASSES.index(coco_labels.IN_COCO[name]) for name in CLASSES)])
    agreeing = []
    for path in (root / "test" / "pseudo_semseg" / "all").iterdir():
        own, coarse = pixels(root / "test" / "semseg" / "all" / path.name), pixels(path)
        assert (coarse == coarse[2::4, 2::4].repeat(4, axis=0).repeat(4, axis=1)).all(), path
        assert set(np.unique(coarse)) <= set(in_coco[np.unique(own)]), path
        agreeing.append((coarse == in_coco[own]).mean())
    assert 0.85 < np.mean(agreeing) < 0.98


@pytest.mark.parametrize("split", ARCHIVE_FRAMES)
def test_values_are_in_range(root: Path, split: str) -> None:
    for index in range(0, ARCHIVE_FRAMES[split], 8):
        files = {folder: pixels(next((root / split / folder / "all").glob(f"{index:05d}.*"))) for folder in FOLDERS}
        assert files["depth"].min() >= 500
        assert files["depth"].max() <= 8000
        assert files["semseg"].min() >= 1
        assert files["semseg"].max() <= len(CLASSES)
        assert (files["mask_valid"] == 255).all()
        normal = files["normal"].astype(np.float64) / 127.5 - 1
        assert np.abs(np.linalg.norm(normal, axis=-1) - 1).max() < 0.02
        assert files["rgb"].std() > 15
        assert 40 < files["rgb"].mean() < 215


def test_every_class_is_in_both_splits_often_enough_to_learn(root: Path) -> None:
    for split, frames in ARCHIVE_FRAMES.items():
        counts = pack.class_frames(root, split=split)
        assert min(counts.values()) >= 0.05 * frames, counts


def test_every_frame_has_a_kind_of_room_and_both_views_of_a_room_the_same(root: Path) -> None:
    opened = open_dataset(root, SPEC)
    assert opened.class_names() == ("bedroom", "dining room", "living room", "study")
    for split, frames in ARCHIVE_FRAMES.items():
        names = [f"{index:05d}" for index in range(frames)]
        kinds = list(opened.labels(split, names).values())
        assert kinds[::2] == kinds[1::2]
        assert min(kinds.count(kind) for kind in opened.class_names()) >= 0.1 * frames


@pytest.mark.parametrize(("modalities", "wanted"), FINGERPRINTS.items())
def test_fingerprints_are_those_that_name_runs(root: Path, modalities: tuple[str, ...], wanted: str) -> None:
    assert open_dataset(root, SPEC).fingerprint(("train", "test"), modalities) == wanted


def test_train_and_test_show_different_rooms(root: Path) -> None:
    digests = {
        split: {hashlib.sha256(p.read_bytes()).hexdigest() for p in (root / split / "depth" / "all").iterdir()}
        for split in ARCHIVE_FRAMES
    }
    assert len(digests["train"]) == ARCHIVE_FRAMES["train"]
    assert not digests["train"] & digests["test"]


def test_the_spec_carries_the_statistics_of_the_shipped_depth(root: Path) -> None:
    measured = pack.depth_statistics(root)
    assert pytest.approx(measured.mean_mm, abs=0.1) == SPEC.depth_mean_mm
    assert pytest.approx(measured.std_mm, abs=0.1) == SPEC.depth_std_mm
    assert SPEC.classes == CLASSES


@pytest.mark.parametrize("name", ["train/00000", "train/00101", "test/00040"])
def test_shipped_normals_are_those_of_the_shipped_depth(root: Path, name: str) -> None:
    split, stem = name.split("/")
    depth, labels, normal = (pixels(root / split / f / "all" / f"{stem}.png") for f in ("depth", "semseg", "normal"))
    stored = normal.astype(np.float64) / 127.5 - 1
    angles = [angle_off(depth / 1000, labels, stored, field_of_view=fov) for fov in range(60, 77)]
    assert min(angles) < 3  # whole millimetres tilt a plane seen over two pixels by a degree or two

"""The shipped rooms: whole, consistent, quick to unpack; and rendered again from their seed to the same bytes."""

import argparse
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from multimae.data import coco
from multimae.data.layout import class_names, labels
from multimae.data.sets import rooms
from multimae.data.sets.rooms import ARCHIVE, ARCHIVE_FRAMES, CLASSES, COMPUTED, DOMAINS, FOLDERS, SPEC
from multimae.prepare import rooms as prepare
from multimae.rooms import coco as rooms_coco
from multimae.rooms import computed as rooms_computed
from multimae.rooms.focal_length import focal_length
from multimae.rooms.render import pack as rooms_pack
from multimae.rooms.render.camera import Camera
from multimae.rooms.render.filter import smooth_light
from multimae.rooms.render.mesh import box, cylinder, ellipsoid, rounded_box
from multimae.tables.modalities import MODALITIES

needs_mitsuba = pytest.mark.skipif(find_spec("mitsuba") is None, reason="needs multimae[rooms]")
FILES_PER_FRAME = len(FOLDERS) + len(COMPUTED) + 1  # and what kind of room it shows
TINY = ("--size", "48x36", "--spp", "1", "--train", "2", "--test", "1", "--seed", "7")


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


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rooms.unpack(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def copied_maps(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what is computed from the folder that is there, where computing them once more would show nothing."""

    def copy(target: Path) -> None:
        for folder in (Path(split) / domain for split in ARCHIVE_FRAMES for domain in COMPUTED):
            shutil.copytree(root / folder, target / folder)

    monkeypatch.setattr(rooms, "_add_computed", copy)


def read(path: Path) -> NDArray[np.integer]:
    with Image.open(path) as image:
        return np.array(image)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    return parser.parse_args(words)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def normals_from_depth(depth_m: NDArray[np.floating], *, field_of_view: float) -> NDArray[np.floating]:
    """Cross the differences between back-projected neighbours; x right, y up, z towards the viewer."""
    height, width = depth_m.shape
    focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
    x = (np.arange(width) + 0.5 - width / 2) / focal * depth_m
    y = -(np.arange(height)[:, None] + 0.5 - height / 2) / focal * depth_m
    points = np.stack([x, y, -depth_m], -1)
    normal = np.cross(np.gradient(points, axis=1), -np.gradient(points, axis=0))
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def flat_places(labels: NDArray[np.generic], stored: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Mark pixels whose neighbours within two pixels have the same class and normal."""
    flat = np.ones(labels.shape, dtype=bool)
    for down in range(-2, 3):
        for across in range(-2, 3):
            flat &= np.roll(labels, (down, across), (0, 1)) == labels
            flat &= (np.roll(stored, (down, across), (0, 1)) * stored).sum(-1) > 0.999
    flat[[0, 1, -2, -1]] = flat[:, [0, 1, -2, -1]] = False
    return flat


def angle_off(
    depth_m: NDArray[np.floating], labels: NDArray[np.generic], stored: NDArray[np.floating], *, field_of_view: float
) -> float:
    """Return the 90th percentile of the degrees between stored normals and those of the depth, on flat places."""
    stored = stored / np.linalg.norm(stored, axis=-1, keepdims=True)
    cosine = (normals_from_depth(depth_m, field_of_view=field_of_view) * stored).sum(-1)
    return float(np.quantile(np.degrees(np.arccos(np.clip(cosine[flat_places(labels, stored)], -1, 1))), 0.9))


def test_the_archive_is_small_and_the_one_the_module_names() -> None:
    data = ARCHIVE.read_bytes()
    assert len(data) <= 6_000_000
    assert hashlib.sha256(data).hexdigest() == rooms.ARCHIVE_SHA256


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
    frames = [read(path) for path in sorted((root / "test" / domain / "all").iterdir())]
    codes = np.stack([frame if frame.ndim == 2 else frame[..., int(channel)] for frame in frames])
    share = np.minimum(codes / MODALITIES[domain].full_scale, 1.0)
    median = np.median(share)
    found = (median, np.abs(share - median).mean())
    assert found == pytest.approx(wanted, abs=2e-4), "what is cached is stale: count rooms.COMPUTED_VERSION up"


def test_labels_in_cocos_words_say_no_more_than_a_network_would(root: Path) -> None:
    in_coco = np.array([255, *(coco.CLASSES.index(rooms_coco.IN_COCO[name]) for name in CLASSES)])
    agreeing = []
    for path in (root / "test" / "pseudo_semseg" / "all").iterdir():
        own, coarse = read(root / "test" / "semseg" / "all" / path.name), read(path)
        assert (coarse == coarse[2::4, 2::4].repeat(4, axis=0).repeat(4, axis=1)).all(), path
        assert set(np.unique(coarse)) <= set(in_coco[np.unique(own)]), path
        agreeing.append((coarse == in_coco[own]).mean())
    assert 0.85 < np.mean(agreeing) < 0.98


@pytest.mark.parametrize("split", ARCHIVE_FRAMES)
def test_values_are_in_range(root: Path, split: str) -> None:
    for index in range(0, ARCHIVE_FRAMES[split], 8):
        files = {folder: read(next((root / split / folder / "all").glob(f"{index:05d}.*"))) for folder in FOLDERS}
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
        counts = rooms_pack.class_frames(root, split=split)
        assert min(counts.values()) >= 0.05 * frames, counts


def test_every_frame_has_a_kind_of_room_and_both_views_of_a_room_the_same(root: Path) -> None:
    assert class_names(root) == ("bedroom", "dining room", "living room", "study")
    for split, frames in ARCHIVE_FRAMES.items():
        names = [f"{index:05d}" for index in range(frames)]
        kinds = list(labels(root, split, names).values())
        assert kinds[::2] == kinds[1::2]
        assert min(kinds.count(kind) for kind in class_names(root)) >= 0.1 * frames


def test_train_and_test_show_different_rooms(root: Path) -> None:
    digests = {
        split: {hashlib.sha256(p.read_bytes()).hexdigest() for p in (root / split / "depth" / "all").iterdir()}
        for split in ARCHIVE_FRAMES
    }
    assert len(digests["train"]) == ARCHIVE_FRAMES["train"]
    assert not digests["train"] & digests["test"]


def test_the_spec_carries_the_statistics_of_the_shipped_depth(root: Path) -> None:
    measured = rooms_pack.depth_statistics(root)
    assert pytest.approx(measured.mean_mm, abs=0.1) == SPEC.depth_mean_mm
    assert pytest.approx(measured.std_mm, abs=0.1) == SPEC.depth_std_mm
    assert SPEC.classes == CLASSES


@pytest.mark.parametrize("name", ["train/00000", "train/00101", "test/00040"])
def test_shipped_normals_are_those_of_the_shipped_depth(root: Path, name: str) -> None:
    split, stem = name.split("/")
    depth, labels, normal = (read(root / split / f / "all" / f"{stem}.png") for f in ("depth", "semseg", "normal"))
    stored = normal.astype(np.float64) / 127.5 - 1
    angles = [angle_off(depth / 1000, labels, stored, field_of_view=fov) for fov in range(60, 77)]
    assert min(angles) < 3  # whole millimetres tilt a plane seen over two pixels by a degree or two


def test_unpacking_twice_gives_the_same_folder_at_once(root: Path) -> None:
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert rooms.unpack(root.parent) == root
        took.append(time.perf_counter() - start)
    assert min(took) < 0.02


@pytest.mark.parametrize("modality", ["depth", DOMAINS[0]])
@pytest.mark.usefixtures("copied_maps")
def test_unpacking_mends_a_folder_that_lost_a_file_and_clears_leftovers(
    root: Path, tmp_path: Path, modality: str
) -> None:
    shutil.copytree(root, tmp_path / root.name)
    lost = tmp_path / root.name / "test" / modality / "all/00003.png"
    lost.unlink()
    old, recent = tmp_path / ".rooms-old", tmp_path / ".rooms-recent"
    old.mkdir()
    recent.mkdir()
    os.utime(old, (0, 0))
    assert rooms.unpack(tmp_path) == tmp_path / root.name
    assert lost.is_file()
    assert not old.exists()
    assert recent.exists(), "another process may be at work there"


@pytest.mark.usefixtures("copied_maps")
def test_a_folder_of_older_domains_is_left_to_those_who_read_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root, tmp_path / root.name)
    before = contents(tmp_path / root.name)
    monkeypatch.setattr(rooms, "COMPUTED_VERSION", rooms.COMPUTED_VERSION + 1)
    assert rooms.unpack(tmp_path).name != root.name
    assert contents(tmp_path / root.name) == before


@pytest.mark.usefixtures("copied_maps")
def test_two_at_once_unpack_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(rooms.unpack, [tmp_path, tmp_path]))
    assert found[0] == found[1]
    assert [path.name for path in tmp_path.iterdir()] == [found[0].name]


@pytest.mark.parametrize("step", ["_extract", "_add_computed"])
def test_a_process_killed_while_unpacking_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die_half_way(target: Path) -> None:
        (target / "train/rgb/more").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rooms, step, die_half_way)
        with pytest.raises(KeyboardInterrupt):
            rooms.unpack(tmp_path)
    assert not list(tmp_path.glob("rooms-*"))


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "rooms.tar.xz"
    damaged.write_bytes(ARCHIVE.read_bytes()[:-1])
    monkeypatch.setattr(rooms, "ARCHIVE", damaged)
    with pytest.raises(OSError, match=r"SHA-256 .* wanted"):
        rooms.unpack(tmp_path / "cache")


def test_packing_what_was_unpacked_gives_the_shipped_archive(root: Path) -> None:
    rooms_pack.check(root)
    assert rooms_pack.tar(root) == lzma.decompress(ARCHIVE.read_bytes())


def test_the_module_needs_neither_torch_nor_mitsuba() -> None:
    code = "import sys, multimae.data.sets.rooms; sys.exit(bool({'torch', 'mitsuba', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "shape",
    [
        box(size=(1.0, 2.0, 3.0)),
        rounded_box(size=(1.0, 2.0, 0.5), radius=0.1),
        cylinder(radius=0.5, height=1.0, top=0.2),
        ellipsoid(size=(1.0, 1.0, 0.5)),
    ],
)
def test_solid_shapes_have_unit_normals_that_point_outwards(shape) -> None:  # type: ignore[no-untyped-def]
    middle = shape.vertices.mean(axis=0)
    corners = shape.vertices[shape.faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.allclose(np.linalg.norm(shape.normals, axis=1), 1)
    assert ((corners.mean(axis=1) - middle) * flat).sum(-1).min() > -1e-9
    assert (flat * shape.normals[shape.faces].sum(axis=1)).sum(-1).min() >= 0


def test_the_filter_takes_noise_but_neither_texture_nor_edges() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([1, 2], dtype=np.uint8), 20)[None, :].repeat(30, 0)
    truth = np.where(labels == 1, 0.2, 1.0)[..., None] * np.ones(3)
    reflectance = np.where(np.arange(40) % 4 < 2, 0.3, 0.8)[None, :, None] * np.ones((30, 1, 3))
    position = np.stack([*np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 30)), np.full((30, 40), -2.0)], -1)
    normal = np.broadcast_to([0.0, 0.0, 1.0], (30, 40, 3))
    base = reflectance + 0.03
    noisy = truth * base * rng.gamma(8, 1 / 8, (30, 40, 1))
    clean = smooth_light(light=noisy, reflectance=reflectance, position=position, normal=normal, labels=labels)
    assert np.abs(clean / (truth * base) - 1).mean() < 0.3 * np.abs(noisy / (truth * base) - 1).mean()


def test_camera_axes_are_right_up_backward() -> None:
    axes = Camera(position=(0.0, 0.0, 1.5), target=(0.0, 2.0, 1.5), field_of_view=60.0).axes()
    assert np.allclose(axes, [[1, 0, 0], [0, 0, 1], [0, -1, 0]])


@needs_mitsuba
def test_frames_depend_on_the_seed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert prepare.run(arguments(*TINY, "--out", str(one), "--workers", "1")) == 0
    assert prepare.run(arguments(*TINY, "--out", str(two), "--workers", "2")) == 0
    assert len(contents(one)) == 3 * FILES_PER_FRAME + 3  # two tables of labels and one of classes
    assert contents(one) == contents(two)

    (two / "train/rgb/all/00001.jpg").unlink()
    assert capsys.readouterr().out.count("0 frames are there, 3 to render") == 2
    monkeypatch.setattr(prepare, "_rendered", lambda tasks, *, workers: map(prepare.render, tasks))
    assert prepare.run(arguments(*TINY, "--out", str(two), "--workers", "1")) == 0
    assert "2 frames are there, 1 to render" in capsys.readouterr().out
    assert contents(one) == contents(two)


@needs_mitsuba
def test_domains_are_added_to_a_folder_rendered_without_them(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = ("--train", "0", "--test", "0", "--out", str(tmp_path), "--workers", "1")
    assert prepare.run(arguments(*nothing)) == 0
    for folder in FOLDERS:
        (tmp_path / "test" / folder / "all").mkdir(parents=True)
        for path in (root / "test" / folder / "all").glob("0000[0-2].*"):
            shutil.copy(path, tmp_path / "test" / folder / "all")
    assert prepare.run(arguments(*nothing)) == 0
    assert "3 frames to compute domains and labels of" in capsys.readouterr().out
    for domain in COMPUTED:
        for path in (tmp_path / "test" / domain / "all").iterdir():
            assert path.read_bytes() == (root / "test" / domain / "all" / path.name).read_bytes()
    assert not list(rooms_computed.lacking(tmp_path, split="test"))
    (tmp_path / "test" / COMPUTED[-1] / "all" / "00001.png").unlink()
    assert [place.index for place in rooms_computed.lacking(tmp_path, split="test")] == [1]


@needs_mitsuba
def test_rendered_depth_labels_and_normals_agree() -> None:
    from multimae.rooms.render.frames import render_room

    frame = render_room(seed=7, split="test", room=3, views=(1,), width=120, height=90, samples=1)[1]
    stored = frame.normal.astype(np.float64) / 127.5 - 1
    fov = frame.camera.field_of_view
    assert angle_off(frame.depth / 1000, frame.semseg, stored, field_of_view=fov) < 3
    unit = stored / np.linalg.norm(stored, axis=-1, keepdims=True)
    focal = focal_length(depth_m=frame.depth / 1000, normal=unit, valid=frame.depth > 0)
    assert focal == pytest.approx(60 / np.tan(np.radians(fov) / 2), rel=0.02)
    up = frame.camera.axes()[:, 2]
    floor = stored[frame.semseg == 1 + CLASSES.index("floor")]
    assert np.median(floor @ up) > 0.99
    assert frame.depth.min() >= 500


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--size", "320"), 2, "wanted WIDTHxHEIGHT"),
        (("--size", "9x9"), 2, "from 32 to 2048"),
        (("--workers", "0"), 2, "--workers is 0; wanted at least 1"),
        (("--train", "-1"), 2, "--train is -1"),
    ],
)
def test_bad_options_are_refused(
    words: tuple[str, ...], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare.run(arguments(*words, "--out", str(tmp_path))) == status
    assert said in capsys.readouterr().err


def test_missing_mitsuba_a_full_disk_and_other_settings_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "find_spec", lambda name: None)
        assert prepare.run(arguments("--out", str(tmp_path))) == 3
    assert "pip install multimae[rooms]" in capsys.readouterr().err
    monkeypatch.setattr(prepare, "find_spec", lambda name: object())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        assert prepare.run(arguments("--out", str(tmp_path))) == 3
    assert "GiB free" in capsys.readouterr().err
    nothing = ("--train", "0", "--test", "0", "--out", str(tmp_path))
    assert prepare.run(arguments(*nothing)) == 0
    assert prepare.run(arguments(*nothing, "--seed", "5")) == 2
    assert "begun with other settings {'seed': (0, 5)}" in capsys.readouterr().err

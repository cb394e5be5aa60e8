"""Rooms are rendered from their seed to the same bytes; shapes, light and camera are those they should be."""

import argparse
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from multimae.data.sets.rooms import CLASSES, COMPUTED
from multimae.prepare import rooms as prepare
from multimae.rooms import computed
from multimae.rooms.archive import FOLDERS
from multimae.rooms.focal_length import focal_length
from multimae.rooms.render.camera import Camera
from multimae.rooms.render.filter import smooth_light
from multimae.rooms.render.mesh import box, cylinder, ellipsoid, rounded_box
from multimae.rooms.render.renderer import render_room
from tests.made.maps_on_disk import angle_off

needs_mitsuba = pytest.mark.skipif(find_spec("mitsuba") is None, reason="needs multimae[rooms]")
FILES_PER_FRAME = len(FOLDERS) + len(COMPUTED) + 1  # and what kind of room it shows
TINY = ("--size", "48x36", "--spp", "1", "--train", "2", "--test", "1", "--seed", "7")


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    return parser.parse_args(words)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
def test_frames_depend_on_the_seed_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert prepare.run(arguments(*TINY, "--out", str(one), "--workers", "1")) == 0
    assert prepare.run(arguments(*TINY, "--out", str(two), "--workers", "2")) == 0
    assert len(contents(one)) == 3 * FILES_PER_FRAME + 3  # two tables of labels and one of classes
    assert contents(one) == contents(two)

    (two / "train/rgb/all/00001.jpg").unlink()
    assert capsys.readouterr().out.count("0 frames are there, 3 to render") == 2
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
    assert not list(computed.lacking(tmp_path, split="test"))
    (tmp_path / "test" / COMPUTED[-1] / "all" / "00001.png").unlink()
    assert [files.index for files in computed.lacking(tmp_path, split="test")] == [1]


@needs_mitsuba
def test_rendered_depth_labels_and_normals_agree() -> None:
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

"""Hypersim from its HDF5 files: planar depth, tone mapping, labels, splits; damaged files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from multimae.data.manifest import read_manifest
from multimae.data_cli import main
from multimae.prepare.hypersim_camera import STANDARD, planar_share
from multimae.prepare.hypersim_tonemap import tone_mapped
from tests.made.published_files import (
    STANDARD_CAMERA,
    HypersimFrame,
    hypersim_frame,
    write_csv,
    write_hdf5,
    write_hypersim,
    write_hypersim_cameras,
)

SPLITS = {"ai_001_001": "train", "ai_003_010": "val", "ai_010_002": "test"}
# Of ai_038_009: turned a little to the side and upwards, as a view camera's lens.
TILTED = np.array([[0.6088745, 0, -0.04870996], [0, 0.42281668, -0.1127511], [0, -0.17251279, -1.0546016]])


@pytest.fixture
def frames() -> dict[str, HypersimFrame]:
    names = ["ai_001_001/cam_00/0", "ai_001_001/cam_01/12", "ai_003_010/cam_00/7", "ai_010_002/cam_00/99"]
    return {name: hypersim_frame(seed) for seed, name in enumerate(names)}


@pytest.fixture
def published(tmp_path: Path, frames: dict[str, HypersimFrame]) -> Path:
    return write_hypersim(tmp_path / "published", frames, splits=SPLITS)


def prepare(published: Path, out: Path, *options: str) -> int:
    return main(["prepare", "hypersim", "--from", str(published), "--out", str(out), "--workers", "1", *options])


def pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_frames_are_written_in_our_layout(
    published: Path, tmp_path: Path, frames: dict[str, HypersimFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(published, out) == 0
    assert capsys.readouterr().out == f"hypersim: 4 items converted into {out}, 0 were there\n"
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    names = {
        "train": ("ai_001_001_cam_00_0000", "ai_001_001_cam_01_0012"),
        "val": ("ai_003_010_cam_00_0007",),
        "test": ("ai_010_002_cam_00_0099",),
    }
    modalities = ("rgb", "depth", "semseg", "mask_valid")
    assert written == sorted(
        f"{split}/{modality}/all/{name}.png"
        for split, some in names.items()
        for modality in modalities
        for name in some
    )
    frame = frames["ai_003_010/cam_00/7"]
    rgb, depth, semseg, valid = (pixels(out / f"val/{name}/all/ai_003_010_cam_00_0007.png") for name in modalities)
    assert (rgb.dtype, depth.dtype, semseg.dtype, valid.dtype) == (np.uint8, np.uint16, np.uint8, np.uint8)
    assert np.array_equal(semseg, np.where(frame.semantic == -1, 0, frame.semantic))
    assert semseg.min() == 0
    assert (valid == 255).all()
    assert rgb.shape == (24, 32, 3)


def test_a_wall_facing_the_camera_has_one_depth(tmp_path: Path) -> None:
    """Distances grow towards the corners; depth along the camera's axis does not."""
    height, width, wall = 768, 1024, 3.25
    across, down = np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
    # The data set's standard focal length, in pixels.
    slant = np.sqrt(1 + (across[None] ** 2 + down[:, None] ** 2) / 886.81**2)
    frame = replace(hypersim_frame(0, height=height, width=width), distance=(wall * slant).astype(np.float32))
    published = write_hypersim(tmp_path / "published", {"ai_001_001/cam_00/0": frame}, splits=SPLITS)
    assert prepare(published, tmp_path / "out", "--rgb", "preview") == 0
    depth = pixels(tmp_path / "out/train/depth/all/ai_001_001_cam_00_0000.png")
    assert np.abs(depth.astype(int) - 3250).max() <= 1
    assert (frame.distance.max() - wall) > 0.7


def test_a_scenes_own_camera_is_used(published: Path, tmp_path: Path, frames: dict[str, HypersimFrame]) -> None:
    cameras = dict.fromkeys(SPLITS, STANDARD_CAMERA) | {"ai_003_010": TILTED}
    write_hypersim_cameras(published, cameras)
    assert prepare(published, tmp_path / "out") == 0
    for split, number in (("val", 7), ("test", 99)):
        scene = next(scene for scene, its in SPLITS.items() if its == split)
        distance = frames[f"{scene}/cam_00/{number}"].distance
        expected = np.zeros_like(distance)
        for row, column in np.ndindex(*distance.shape):
            ray = cameras[scene] @ [(column + 0.5) / 32 * 2 - 1, 1 - (row + 0.5) / 24 * 2, 1.0]
            expected[row, column] = distance[row, column] * -ray[2] / np.sqrt(ray @ ray)
        depth = pixels(tmp_path / "out" / split / "depth/all" / f"{scene}_cam_00_{number:04d}.png")
        assert np.abs(depth - expected * 1000).max() <= 0.51


def test_a_tilted_camera_is_not_the_standard_one() -> None:
    tilted = planar_share(tuple(map(tuple, TILTED.tolist())), height=24, width=32)
    standard = planar_share(STANDARD, height=24, width=32)
    assert np.abs(tilted - standard).max() > 0.02
    assert np.array_equal(standard, standard[::-1, ::-1])
    assert not np.array_equal(tilted, tilted[::-1])


def test_a_scene_without_a_camera_in_the_table_is_damaged(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_hypersim_cameras(published, {"ai_001_001": STANDARD_CAMERA, "ai_003_010": STANDARD_CAMERA})
    assert prepare(published, tmp_path / "out") == 3
    assert "has no camera of ai_010_002" in capsys.readouterr().out


def test_depth_that_is_no_number_is_invalid(tmp_path: Path) -> None:
    distance = np.full((24, 32), 2.0, np.float32)
    distance[0, :4] = [np.nan, np.inf, 0.0, 70.0]
    distance[12, 16] = 70.0
    frame = replace(hypersim_frame(0), distance=distance)
    published = write_hypersim(tmp_path / "published", {"ai_001_001/cam_00/0": frame}, splits=SPLITS)
    assert prepare(published, tmp_path / "out") == 0
    depth, valid = (
        pixels(tmp_path / f"out/train/{name}/all/ai_001_001_cam_00_0000.png") for name in ("depth", "mask_valid")
    )
    # 16 bits hold 65.535 m; 70 m away are less along the axis in the corner, but not in the middle.
    assert depth[12, 16] == 0
    assert depth[0, :3].tolist() == [0, 0, 0]
    assert 50_000 < depth[0, 3] <= 65_535
    assert np.array_equal(valid, np.where(depth > 0, 255, 0))


def reference_tone_mapping(colour: NDArray[Any], entities: NDArray[Any]) -> NDArray[Any]:
    """Write the published operator out in double precision."""
    colour = colour.astype(float)
    grey = 0.3 * colour[..., 0] + 0.59 * colour[..., 1] + 0.11 * colour[..., 2]
    scale = 0.8**2.2 / np.percentile(grey[entities != -1], 90)
    return np.clip((scale * colour) ** (1 / 2.2), 0, 1) * 255


def test_hdr_images_are_tone_mapped_as_published(
    published: Path, tmp_path: Path, frames: dict[str, HypersimFrame]
) -> None:
    assert prepare(published, tmp_path / "out") == 0
    frame = frames["ai_001_001/cam_01/12"]
    rgb = pixels(tmp_path / "out/train/rgb/all/ai_001_001_cam_01_0012.png")
    assert np.abs(rgb - reference_tone_mapping(frame.colour, frame.entities)).max() <= 0.51


def test_what_was_not_rendered_does_not_set_the_brightness() -> None:
    radiance = np.full((10, 10, 3), 0.5, np.float32)
    radiance[0] = 1000.0
    entities = np.ones((10, 10), np.int32)
    entities[0] = -1
    # All that counts is 0.5: the 90th percentile becomes 0.8.
    assert (tone_mapped(radiance, rendered=entities != -1)[1:] == 204).all()
    assert (tone_mapped(radiance, rendered=entities == 1)[0] == 255).all()
    assert (tone_mapped(radiance, rendered=entities > 0)[1:] > tone_mapped(radiance, rendered=entities > -2)[1:]).all()


def test_a_black_frame_stays_black_and_an_unrendered_one_as_it_is() -> None:
    rendered = np.ones((2, 2), dtype=bool)
    assert not tone_mapped(np.full((2, 2, 3), 1e-5, np.float32), rendered=rendered).any()
    assert (tone_mapped(np.full((2, 2, 3), 1.0, np.float32), rendered=~rendered) == 255).all()


def test_pixels_that_are_no_number_are_black_and_do_not_count() -> None:
    radiance = np.full((4, 4, 3), 0.5, np.float32)
    radiance[0, 0] = np.nan
    radiance[0, 1] = np.inf
    mapped = tone_mapped(radiance, rendered=np.ones((4, 4), dtype=bool))
    assert mapped[0, 0].tolist() == [0, 0, 0]
    assert mapped[0, 1].tolist() == [255, 255, 255]
    assert (mapped[1:] == 204).all()


def test_previews_are_linked(tmp_path: Path, frames: dict[str, HypersimFrame]) -> None:
    published = write_hypersim(tmp_path / "published", frames, splits=SPLITS, with_colour=False)
    assert prepare(published, tmp_path / "out") == 0
    ours = tmp_path / "out/test/rgb/all/ai_010_002_cam_00_0099.jpg"
    theirs = published / "ai_010_002/images/scene_cam_00_final_preview/frame.0099.tonemap.jpg"
    assert ours.samefile(theirs)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest.provenance.settings["rgb"] == "preview"
    assert "rgb is the published tonemap.jpg" in manifest.provenance.decisions


def test_both_kinds_of_rgb_are_not_mixed(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(published, tmp_path / "out", "--rgb", "preview") == 0
    assert prepare(published, tmp_path / "out") == 3
    assert "other settings: rgb is preview, wanted hdr" in capsys.readouterr().err


def test_frames_are_shrunk(published: Path, tmp_path: Path) -> None:
    assert prepare(published, tmp_path / "small", "--shorter-side", "12", "--rgb", "preview") == 0
    assert prepare(published, tmp_path / "full", "--rgb", "preview") == 0
    name = "all/ai_001_001_cam_00_0000"
    for file in (f"rgb/{name}.jpg", f"depth/{name}.png", f"semseg/{name}.png", f"mask_valid/{name}.png"):
        assert pixels(tmp_path / "small/train" / file).shape[:2] == (12, 16)
    depth, small = (pixels(tmp_path / f"{kind}/train/depth/{name}.png") for kind in ("full", "small"))
    assert set(small.ravel()) <= set(depth.ravel())  # picked, not mixed


def test_frames_and_scenes_left_out_are_counted(
    tmp_path: Path, frames: dict[str, HypersimFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    released = {scene: split for scene, split in SPLITS.items() if scene != "ai_003_010"}
    published = write_hypersim(tmp_path / "published", frames, splits=released)
    (published / "ai_010_002").rename(tmp_path / "ai_010_002")
    assert prepare(published, tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "hypersim: left out 1: frames not in the public release" in told
    assert "hypersim: left out 1: frames of scenes that are not here" in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["train"]


def test_scenes_may_come_one_after_the_other(published: Path, tmp_path: Path) -> None:
    (published / "ai_010_002").rename(tmp_path / "ai_010_002")
    assert prepare(published, tmp_path / "out") == 0
    (published / "ai_001_001").rename(tmp_path / "done with")
    (tmp_path / "ai_010_002").rename(published / "ai_010_002")
    assert prepare(published, tmp_path / "out") == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest.complete
    assert len(manifest.files) == 16
    assert all((tmp_path / "out" / path).is_file() for path in manifest.files)


def test_the_repositorys_folders_are_looked_into(published: Path, tmp_path: Path) -> None:
    table = "metadata_images_split_scene_v1.csv"
    (published / "scenes").mkdir()
    for scene in SPLITS:
        (published / scene).rename(published / "scenes" / scene)
    (published / "evermotion_dataset/analysis").mkdir(parents=True)
    (published / table).rename(published / "evermotion_dataset/analysis" / table)
    assert prepare(published, tmp_path / "out") == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 16


def geometry(published: Path, kind: str) -> Path:
    return published / "ai_001_001/images/scene_cam_00_geometry_hdf5" / f"frame.0000.{kind}.hdf5"


def colour(published: Path) -> Path:
    return published / "ai_001_001/images/scene_cam_00_final_hdf5/frame.0000.color.hdf5"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda root: cut(geometry(root, "depth_meters")), "frame.0000.depth_meters.hdf5 cannot be read as HDF5"),
        (lambda root: cut(colour(root)), "frame.0000.color.hdf5 cannot be read as HDF5"),
        (lambda root: geometry(root, "semantic").unlink(), "there is no "),
        (lambda root: geometry(root, "render_entity_id").unlink(), "there is no "),
        (
            lambda root: write_hdf5(geometry(root, "semantic"), np.full((24, 32), 41, np.int16)),
            "holds labels from 41 to 41, wanted -1 (unlabelled) to 40",
        ),
        (
            lambda root: write_hdf5(geometry(root, "semantic"), np.ones((12, 16), np.int16)),
            "ai_001_001_cam_00_0000 has files of different sizes",
        ),
        (
            lambda root: write_hdf5(colour(root), np.full((24, 32, 3), np.nan, np.float16)),
            "holds no number",
        ),
    ],
)  # fmt: skip
def test_a_damaged_frame_is_named_and_the_others_are_there(
    published: Path,
    tmp_path: Path,
    damage: Callable[[Path], object],
    match: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(published)
    assert prepare(published, tmp_path / "out") == 3
    told = capsys.readouterr().out
    assert "hypersim: 1 of 4 items are damaged" in told
    assert "  ai_001_001_cam_00_0000: " in told
    assert match in told
    assert len(list((tmp_path / "out").rglob("*.png"))) == 12


def test_a_torn_preview_is_named(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut(published / "ai_001_001/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg")
    assert prepare(published, tmp_path / "out", "--rgb", "preview") == 3
    assert "frame.0000.tonemap.jpg: cannot be decoded as a preview" in capsys.readouterr().out


def test_a_missing_split_table_is_named(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (published / "metadata_images_split_scene_v1.csv").unlink()
    assert prepare(published, tmp_path / "out") == 3
    assert f"metadata_images_split_scene_v1.csv is not in {published}" in capsys.readouterr().err


def test_tables_with_other_columns_are_refused(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(published / "metadata_camera_parameters.csv", [["scene_name"], ["ai_001_001"]])
    assert prepare(published, tmp_path / "out") == 3
    assert "wanted the columns scene_name and M_cam_from_uv_00" in capsys.readouterr().err
    write_csv(published / "metadata_images_split_scene_v1.csv", [["scene_name"], ["ai_001_001"]])
    assert prepare(published, tmp_path / "again") == 3
    assert "lacks the columns ['camera_name'" in capsys.readouterr().err


def test_a_folder_without_scenes_is_refused(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scene in SPLITS:
        (published / scene).rename(tmp_path / scene)
    assert prepare(published, tmp_path / "out") == 3
    assert f"{published} holds no scene of" in capsys.readouterr().err

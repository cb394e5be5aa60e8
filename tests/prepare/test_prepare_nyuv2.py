"""NYU Depth v2 from its .mat files: axes, units, classes, splits; damaged files; the real frames."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from multimae.data.dataset import OpenedDataset
from multimae.data.decode import decode
from multimae.data.manifest import read_manifest
from multimae.data.open import find_root, open_dataset
from multimae.data.sets.nyuv2 import SPEC
from multimae.data_cli import main
from multimae.prepare import nyuv2
from tests.made.published_files import MAPPING, NyuFrame, nyu_frame, write_nyu

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))
REAL = SHARED / "data" / "nyuv2"


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, SPEC)


@pytest.fixture(scope="module")
def frames() -> list[NyuFrame]:
    return [nyu_frame(seed) for seed in range(4)]


@pytest.fixture
def published(tmp_path: Path, frames: list[NyuFrame]) -> Path:
    """Write four frames, of which number 2 is for test and number 4 in no split."""
    return write_nyu(tmp_path / "published", frames, train=[3, 1], test=[2])


def prepare(published: Path, out: Path, *options: str) -> int:
    return main(["prepare", "nyuv2", "--from", str(published), "--out", str(out), "--workers", "1", *options])


def pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_frames_are_written_in_our_layout(
    published: Path, tmp_path: Path, frames: list[NyuFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "nyuv2"
    assert prepare(published, out) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"nyuv2: 3 items converted into {out}, 0 were there",
        "nyuv2: left out 1: frames in no split of splits.mat",
    ]
    assert find_root(tmp_path, SPEC) == out
    modalities = opened(out).with_validity("train", ["rgb", "depth", "semseg"])
    assert modalities == ("rgb", "depth", "semseg", "mask_valid")
    for split, numbers in (("train", (1, 3)), ("test", (2,))):
        samples = opened(out).samples(split, modalities)
        assert samples.names == tuple(f"{number:04d}" for number in numbers)
        for number, sample in zip(numbers, samples, strict=True):
            frame = frames[number - 1]
            maps = {name: decode(path, modality=name, spec=SPEC) for name, path in sample.paths.items()}
            assert np.array_equal(maps["rgb"], frame.rgb)
            assert np.abs(maps["depth"] - frame.metres * 1000.0).max() <= 0.5 + 1e-3
            assert np.array_equal(maps["semseg"], np.concatenate([[0], MAPPING])[frame.labels])
            inside = np.zeros((480, 640), dtype=bool)
            inside[44:470, 40:600] = True
            assert np.array_equal(maps["mask_valid"] == 255, inside)
            assert set(np.unique(maps["mask_valid"])) == {0, 255}


def test_neither_defect_of_the_references_script_is_here(tmp_path: Path) -> None:
    """It calls the validity `mask`, and its 6553.6 units per metre are far off what training normalises by."""
    height, width = 480, 640
    generator = np.random.default_rng(0)
    # Depth of real rooms: as far and as varied as the data set's.
    metres = generator.normal(SPEC.depth_mean_mm, SPEC.depth_std_mm, (height, width)).clip(700, 9999) / 1000
    frame = NyuFrame(
        rgb=np.zeros((height, width, 3), np.uint8),
        metres=metres.astype(np.float32),
        labels=np.zeros((height, width), np.uint16),
    )
    published = write_nyu(tmp_path / "published", [frame, frame], train=[1], test=[2])
    assert prepare(published, tmp_path / "nyuv2") == 0
    folders = sorted(path.name for path in (tmp_path / "nyuv2" / "train").iterdir())
    assert folders == ["depth", "mask_valid", "rgb", "semseg"]
    depth = pixels(tmp_path / "nyuv2/train/depth/all/0001.png")
    assert depth.dtype == np.uint16
    normalised = (depth - SPEC.depth_mean_mm) / SPEC.depth_std_mm
    assert abs(normalised.mean()) < 0.2
    assert 0.8 < normalised.std() < 1.1
    theirs = (metres * 6553.6 - SPEC.depth_mean_mm) / SPEC.depth_std_mm
    assert theirs.mean() > 10


def test_raw_depth_keeps_its_holes(published: Path, tmp_path: Path, frames: list[NyuFrame]) -> None:
    assert prepare(published, tmp_path / "raw", "--depth", "raw") == 0
    depth = pixels(tmp_path / "raw/train/depth/all/0001.png")
    assert not depth[:5, :7].any()
    assert np.count_nonzero(depth == 0) == 35
    raw = frames[0].raw_metres
    assert raw is not None
    assert np.abs(depth - raw * 1000.0).max() <= 0.5 + 1e-3


def test_jpeg_is_close_and_has_its_suffix(published: Path, tmp_path: Path) -> None:
    assert prepare(published, tmp_path / "jpeg", "--rgb-format", "jpeg") == 0
    assert [path.name for path in (tmp_path / "jpeg/test/rgb/all").iterdir()] == ["0002.jpg"]
    assert prepare(published, tmp_path / "png") == 0
    ours, lossless = (
        pixels(tmp_path / f"{kind}/test/rgb/all/0002.{suffix}").astype(float)
        for kind, suffix in (("jpeg", "jpg"), ("png", "png"))
    )
    assert 0 < np.abs(ours - lossless).mean() < 3


def test_other_options_are_refused_in_the_same_folder(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(published, tmp_path / "out") == 0
    assert prepare(published, tmp_path / "out") == 0
    assert f"nyuv2: nothing to do, all 3 items are in {tmp_path / 'out'}" in capsys.readouterr().out
    assert prepare(published, tmp_path / "out", "--depth", "raw") == 3
    assert "other settings: depth is filled, wanted raw" in capsys.readouterr().err


def test_the_manifest_says_what_was_decided(published: Path, tmp_path: Path) -> None:
    prepare(published, tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest.provenance.dataset == "nyuv2"
    assert manifest.provenance.units["depth"] == "millimetres, 0 invalid"
    assert manifest.provenance.left_out == {"frames in no split of splits.mat": 1}
    assert "depth rounded to millimetres" in manifest.provenance.decisions
    assert "894 classes mapped to 40 by classMapping40.mat" in manifest.provenance.decisions
    record = manifest.files["train/depth/all/0001.png"]
    assert (record.shape, record.dtype) == ((480, 640), "uint16")
    assert manifest.files["train/rgb/all/0001.png"].shape == (480, 640, 3)


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_a_missing_file_is_named_with_where_to_get_it(
    published: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / name).unlink()
    assert prepare(published, tmp_path / "out") == 3
    told = capsys.readouterr().err
    assert f"{published} lacks {name}" in told
    assert "authors' page" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_a_file_cut_short_is_named(
    published: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = published / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert prepare(published, tmp_path / "out") == 3
    told = capsys.readouterr().err
    assert f"{path} cannot be read as " in told
    assert "download it again" in told


def test_a_damaged_frame_is_named_and_the_others_are_there(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(published / "nyu_depth_v2_labeled.mat") as file:
        chunk = file["depths"].id.get_chunk_info(2)
    with (published / "nyu_depth_v2_labeled.mat").open("r+b") as file:
        file.seek(512 + chunk.byte_offset + 100)
        file.write(b"\x00" * 2000)
    assert prepare(published, tmp_path / "out") == 3
    told = capsys.readouterr().out
    assert "1 of 3 items are damaged" in told
    assert "0003: " in told
    assert sorted(path.stem for path in (tmp_path / "out").rglob("rgb/all/*")) == ["0001", "0002"]


def test_labels_beyond_the_mapping_are_refused(
    tmp_path: Path, frames: list[NyuFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = frames[0].labels.copy()
    labels[3, 4] = 895
    odd = NyuFrame(rgb=frames[0].rgb, metres=frames[0].metres, labels=labels)
    published = write_nyu(tmp_path / "published", [odd, frames[1]], train=[1], test=[2])
    assert prepare(published, tmp_path / "out") == 3
    assert "label 895, wanted at most 894" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("train", "test", "match"),
    [
        ([1, 2], [2], "1 frames are in both splits"),
        ([1, 5], [2], r"names 1 frames such as 5, .* has 1 to 4"),
        ([0], [2], r"names 1 frames such as 0, .* has 1 to 4"),
    ],
)
def test_splits_are_checked(
    tmp_path: Path, frames: list[NyuFrame], train: list[int], test: list[int], match: str
) -> None:
    published = write_nyu(tmp_path / "published", frames, train=train, test=test)
    with pytest.raises(nyuv2.DataError, match=match):
        nyuv2.LabeledNyu(root=published).items()


def test_a_mapping_to_other_classes_is_refused(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    savemat(published / "classMapping40.mat", {"mapClass": np.full((1, 894), 41)})
    assert prepare(published, tmp_path / "out") == 3
    assert "mapClass has values beyond 40" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_arrays_that_are_not_in_matlabs_order_are_refused(published: Path) -> None:
    with h5py.File(published / "nyu_depth_v2_labeled.mat", "r+") as file:
        images = np.asarray(file["images"])
        del file["images"]
        file["images"] = np.moveaxis(images, 1, -1)
    with pytest.raises(nyuv2.DataError, match=r"wanted \[frames, 3, width, height\]"):
        nyuv2.LabeledNyu(root=published).items()


def test_without_h5py_the_extra_is_named(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(nyuv2.DataError, match=r"pip install 'multimae\[prepare\]'"):
        nyuv2.LabeledNyu(root=published).items()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real NYUv2 at {REAL}")
def test_real_frames_come_back_as_they_are(tmp_path: Path) -> None:
    """Put real frames into a .mat as published; what is prepared from it equals them."""
    modalities = ("rgb", "depth", "semseg", "mask_valid")
    samples = {split: opened(REAL).samples(split, modalities)[:2] for split in ("train", "test")}
    frames, originals = [], []
    inverse = np.zeros(41, dtype=np.uint16)
    inverse[MAPPING[:40]] = np.arange(1, 41)
    for split, some in samples.items():
        for sample in some:
            maps = {name: decode(path, modality=name, spec=SPEC) for name, path in sample.paths.items()}
            originals.append((split, maps))
            metres = (maps["depth"] / 1000.0).astype(np.float32)
            frames.append(NyuFrame(rgb=maps["rgb"], metres=metres, labels=inverse[maps["semseg"]]))
    published = write_nyu(tmp_path / "published", frames, train=[1, 2], test=[3, 4])
    assert prepare(published, tmp_path / "out") == 0
    for number, (split, maps) in enumerate(originals, start=1):
        for modality, original in maps.items():
            assert np.array_equal(pixels(tmp_path / "out" / split / modality / "all" / f"{number:04d}.png"), original)
    assert json.loads((tmp_path / "out/manifest.jsonl").read_text().splitlines()[0])["complete"]

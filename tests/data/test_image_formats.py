"""What an image file may hold: one image, in a format that keeps what it is read for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multimae.data.decode import decode
from multimae.data.files import EXACT, PHOTOGRAPHIC, UNREAD
from multimae.data.sample import DataError
from multimae.pseudo_labels.images import list_images
from tests.made import tiny_dataset
from tests.made.class_folders import FLOWERS, NYUV2, Change, checked, classes, pack, train


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


PHOTOGRAPHS = {
    "webp": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tif": ("TIFF", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "jfif": ("JPEG", {"quality": 95, "subsampling": 0}),
    "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    "gif": ("GIF", {}),
    "JPEG": ("JPEG", {"quality": 95, "subsampling": 0}),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # says that a file is damaged before it raises
@pytest.mark.parametrize("ending", PHOTOGRAPHS)
def test_photographs_are_read_in_the_formats_that_pillow_reads_whole_or_not_at_all(tmp_path: Path, ending: str) -> None:
    kind, settings = PHOTOGRAPHS[ending]
    if kind == "AVIF" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow was built without AVIF")
    root = classes(tmp_path / "plain", names=("daisy", "rose"))
    for path in list(root.glob("*/rgb/rose/*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(f".{ending}"), kind, **settings)
        path.unlink()
    assert len(train(root)) == 8
    assert len(train(root, split="test")) == 4
    assert checked(root) == {}
    read = train(root).read(7)
    expected = np.random.default_rng(130).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    difference = np.abs(read.maps["rgb"].permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.mean() < (1e-9 if ending in ("webp", "bmp", "tif", "tiff") else 20)
    pack(root, tmp_path / "packed")
    assert (train(tmp_path / "packed").read(7).maps["rgb"] == read.maps["rgb"]).all()
    assert len(list_images(root / "train")) == 8
    path = next(root.glob(f"train/rgb/rose/*.{ending}"))
    whole = path.read_bytes()
    for keep in (0.1, 0.3, 0.6, 0.9, 0.99):
        path.write_bytes(whole[: int(keep * len(whole))])
        with pytest.raises(DataError, match="cannot be decoded as rgb"):
            decode(path, modality="rgb", spec=FLOWERS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_a_file_of_several_images_is_refused(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(np.full((24, 32, 3), level, np.uint8)) for level in (10, 200)]
    path = tmp_path / f"moving.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="the file holds 2 images, wanted one"):
        decode(path, modality="rgb", spec=FLOWERS)


def test_the_second_view_in_a_telephones_jpeg_is_no_reason(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((24, 32, 3), level, np.uint8)) for level in (10, 200)]
    frames[0].save(tmp_path / "view.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert decode(tmp_path / "view.jpg", modality="rgb", spec=FLOWERS).max() == 10


def again(modality: str, ending: str, **settings: Any) -> Change:
    """Return what writes the maps of a modality in another format."""

    def change(root: Path) -> None:
        for path in list(root.glob(f"*/{modality}/all/*.png")):
            with Image.open(path) as image:
                image.save(path.with_suffix(f".{ending}"), **settings)
            path.unlink()

    return change


@pytest.mark.parametrize(
    ("modality", "ending", "settings"),
    [
        ("depth", "tif", {}),
        ("depth", "tiff", {"compression": "tiff_deflate"}),
        ("semseg", "tif", {"compression": "packbits"}),
        ("semseg", "bmp", {}),
        ("normal", "tiff", {}),
    ],
)
def test_maps_are_read_in_formats_that_keep_their_codes(
    rooms: Path, modality: str, ending: str, settings: dict[str, Any]
) -> None:
    again(modality, ending, **settings)(rooms)
    assert checked(rooms, NYUV2) == {}
    read = train(rooms, dataset="nyuv2", modalities=["rgb", modality], labelled=False)
    stored = read.read(0).maps[modality].numpy()
    expected = tiny_dataset.maps()[modality]
    np.testing.assert_array_equal(stored[0] if expected.ndim == 2 else stored.transpose(1, 2, 0), expected)


def test_depth_with_the_high_byte_first_is_the_same_depth(tmp_path: Path) -> None:
    depth = tiny_dataset.maps()["depth"]
    height, width = depth.shape
    Image.frombytes("I;16B", (width, height), depth.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    read = decode(tmp_path / "a.tif", modality="depth", spec=NYUV2)
    np.testing.assert_array_equal(read, depth)
    assert read.dtype == np.uint16


def test_depth_in_floating_point_is_refused(rooms: Path) -> None:
    path = rooms / "train" / "depth" / "all" / "0001.png"
    Image.fromarray(tiny_dataset.maps()["depth"].astype(np.float32) / 1000).save(path.with_suffix(".tif"))
    path.unlink()
    with pytest.raises(
        DataError, match=r"depth is stored in floating point \(image mode F\), .*16 bits, in millimetres"
    ):
        train(rooms, dataset="nyuv2", modalities=["depth"], labelled=False).read(1)
    assert ("format", "train/depth/all/0001.tif") in checked(rooms, NYUV2)


@pytest.mark.parametrize(("modality", "ending"), [("semseg", "jpg"), ("normal", "jpeg"), ("semseg", "webp")])
def test_maps_in_a_format_that_changes_codes_are_refused(rooms: Path, modality: str, ending: str) -> None:
    again(modality, ending)(rooms)
    with pytest.raises(DataError, match=rf"6 maps in a format that changes their codes: 0000\.{ending}, .* from where"):
        train(rooms, dataset="nyuv2", modalities=["rgb", modality], labelled=False)
    found = checked(rooms, NYUV2)
    assert {place for kind, place in found if kind == "lost_images"} == {
        f"{split}/{modality}/all" for split in ("train", "test")
    }


@pytest.mark.parametrize("settings", [{"format": "JPEG"}, {"format": "TIFF", "compression": "jpeg"}])
def test_a_suffix_hides_no_lossy_labels(rooms: Path, settings: dict[str, Any]) -> None:
    path = rooms / "train" / "semseg" / "all" / "0001.png"
    labels = Image.fromarray(np.full((48, 64), 3, np.uint8))
    labels.save(path, **settings)
    with pytest.raises(DataError, match=r"0001\.png: semseg is stored as .*which changes codes"):
        train(rooms, dataset="nyuv2", modalities=["semseg"], labelled=False).read(1)
    assert ("format", "train/semseg/all/0001.png") in checked(rooms, NYUV2)


def test_the_endings_are_apart() -> None:
    assert EXACT < PHOTOGRAPHIC
    assert not PHOTOGRAPHIC & UNREAD

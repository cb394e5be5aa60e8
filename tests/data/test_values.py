"""What the values of a file mean: one convention for everything that reads it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data.decode import decode
from multimae.data.folder import MultiModalFolder
from multimae.data.manifest import Provenance
from multimae.data.sample import DataError
from multimae.data.sets.nyuv2 import SPEC
from multimae.data.spec import DatasetSpec, spec
from multimae.evaluation.depth import median_depth_mm
from multimae.packing.source import PackSource
from multimae.prepare.conversion import Item, prepare
from multimae.pseudo_labels.images import read_image
from tests.made import tiny_dataset
from tests.made.damages import bomb

HEIGHT, WIDTH = 40, 60
RED, GARBAGE = (200, 30, 30), (1, 2, 3)
ORIENTATION = 0x0112
SHOWN: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""What a viewer makes of an image stored with each orientation of EXIF."""


def save_turned(path: Path, pixels: np.ndarray, *, orientation: int) -> Path:
    """Write an image that says how it is to be turned."""
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(path, exif=exif)
    return path


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 41, shape).astype(dtype)


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize(
    ("modality", "pixels"),
    [
        ("rgb", noise(HEIGHT, WIDTH, 3)),
        ("normal", noise(HEIGHT, WIDTH, 3)),
        ("depth", noise(HEIGHT, WIDTH, dtype=np.uint16)),
        ("semseg", noise(HEIGHT, WIDTH)),
        ("mask_valid", np.where(noise(HEIGHT, WIDTH) > 20, 255, 0).astype(np.uint8)),
    ],
)
def test_every_map_is_turned_as_its_file_says(
    tmp_path: Path, modality: str, pixels: np.ndarray, orientation: int
) -> None:
    path = save_turned(tmp_path / "map.png", pixels, orientation=orientation)
    assert np.array_equal(decode(path, modality=modality, spec=SPEC), SHOWN[orientation](pixels))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_photograph_is_the_same_to_all_readers(tmp_path: Path, suffix: str) -> None:
    path = save_turned(tmp_path / f"photo{suffix}", noise(HEIGHT, WIDTH, 3), orientation=6)
    with Image.open(path) as image:
        shown = SHOWN[6](np.asarray(image.convert("RGB")))
    assert np.array_equal(decode(path, modality="rgb", spec=SPEC), shown)
    assert np.array_equal(read_image(path), shown), "a labelling network sees what training reads"


def test_a_damaged_entry_turns_nothing(tmp_path: Path) -> None:
    path = save_turned(tmp_path / "photo.jpg", noise(HEIGHT, WIDTH, 3), orientation=6)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0MM\0*\0\0\xff\x08"))
    assert path.read_bytes() != content
    assert decode(path, modality="rgb", spec=SPEC).shape == (HEIGHT, WIDTH, 3)


def test_packed_photographs_are_upright(tmp_path: Path) -> None:
    root = turned_dataset(tmp_path, modalities=tuple(tiny_dataset.maps()))
    prepare(PackSource(root=root / "nyuv2", dataset="nyuv2"), out=tmp_path / "packed", workers=1)
    plain, packed = (
        MultiModalFolder(root=place, dataset="nyuv2", split="train", modalities=["rgb", "depth"], pipeline=lambda x: x)
        for place in (root, tmp_path / "packed")
    )
    for name, map_ in plain.read(0).maps.items():
        assert map_.shape[-2:] == (tiny_dataset.WIDTH, tiny_dataset.HEIGHT)
        assert np.array_equal(map_, packed.read(0).maps[name])


def turned_dataset(folder: Path, *, modalities: tuple[str, ...]) -> Path:
    """Write the tiny data set with an entry that lays some of its maps on their sides."""
    root = tiny_dataset.write(folder)
    for modality in modalities:
        for path in (root / "nyuv2").glob(f"*/{modality}/all/*.png"):
            with Image.open(path) as image:
                pixels = np.asarray(image)
            save_turned(path, pixels, orientation=6)
    return root


def test_labels_of_the_unturned_photograph_are_named_as_such(tmp_path: Path) -> None:
    root = turned_dataset(tmp_path, modalities=("rgb",))
    folder = MultiModalFolder(
        root=root, dataset="nyuv2", split="train", modalities=["rgb", "semseg"], pipeline=lambda x: x
    )
    with pytest.raises(DataError, match="EXIF turns rgb by 90 degrees, and the sizes match only without that"):
        folder.read(0)


def with_alpha(mode: str) -> Image.Image:
    """Return a picture whose left half is red (or its grey), and whose right half is transparent over garbage."""
    colours = np.full((HEIGHT, WIDTH, 3), RED, np.uint8)
    colours[:, WIDTH // 2 :] = GARBAGE
    alpha = np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8)
    colourful = {"LA": "L", "RGBA": "RGB"}.get(mode, mode)
    image = Image.fromarray(colours).convert(colourful, dither=Image.Dither.NONE)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.tile(alpha, (HEIGHT, 1))))
    else:
        image.info["transparency"] = image.getpixel((WIDTH - 1, 0))
    return image


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = with_alpha(mode)
    image.save(tmp_path / "picture.png", **{name: image.info[name] for name in ("transparency",) if name in image.info})
    found = decode(tmp_path / "picture.png", modality="rgb", spec=SPEC)
    assert (found[:, WIDTH // 2 :] == 255).all()
    grey = mode in ("L", "LA")
    assert np.abs(found[:, : WIDTH // 2].astype(int) - (81 if grey else RED)).max() <= 26, "a palette's nearest colour"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_every_kind_of_opaque_picture_is_what_it_was(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    image = Image.fromarray(noise(HEIGHT, WIDTH, 3)).convert(mode)
    image.save(path)
    with Image.open(path) as stored:
        expected = np.asarray(stored.convert("RGB"))
    assert np.array_equal(decode(path, modality="rgb", spec=SPEC), expected)


def test_codes_of_no_reading_are_read_as_none(tmp_path: Path) -> None:
    stored = noise(HEIGHT, WIDTH, dtype=np.uint16) * 100
    stored[:10], stored[10:12], stored[12] = 65535, 60000, 0
    Image.fromarray(stored).save(tmp_path / "depth.png")
    described = replace(SPEC, invalid_depth=(65535, 60000))
    found = decode(tmp_path / "depth.png", modality="depth", spec=described)
    assert found.dtype == np.uint16
    assert not found[:13].any()
    assert np.array_equal(found[13:], stored[13:])
    assert np.array_equal(decode(tmp_path / "depth.png", modality="depth", spec=SPEC), stored)


def test_plain_and_packed_depth_have_the_same_holes_and_predicted_depth_has_none(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path)
    for path in (root / "nyuv2").glob("*/depth/all/*.png"):
        stored = tiny_dataset.maps()["depth"].copy()
        stored[:7] = 65535
        Image.fromarray(stored).save(path)
        (path.parents[2] / "pseudo_depth/all").mkdir(parents=True, exist_ok=True)
        Image.fromarray(stored).save(path.parents[2] / "pseudo_depth/all" / path.name)
    prepare(PackSource(root=root / "nyuv2", dataset="nyuv2"), out=tmp_path / "packed", workers=1)
    described = replace(SPEC, invalid_depth=(65535,))
    for place in (root, tmp_path / "packed"):
        for folders, holes in (({}, 7), ({"depth": "pseudo_depth"}, 0)):
            read = MultiModalFolder(
                root=place,
                dataset=vars(described),
                split="test",
                modalities=["depth"],
                pipeline=lambda x: x,
                folders=folders,
            )
            assert int((read.read(0).maps["depth"] == 0).sum()) == holes * tiny_dataset.WIDTH
            assert int((read.stored(0, modality="depth") == 0).sum()) == holes * tiny_dataset.WIDTH


@pytest.mark.parametrize("code", [0, -1, 65536])
def test_a_code_that_no_file_can_hold_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=rf"invalid_depth \[{code}\], wanted codes from 1 to 65535"):
        DatasetSpec(name="x", title="X", modalities=("depth",), invalid_depth=(code,))


def test_taskonomy_says_what_its_largest_code_means() -> None:
    assert spec("taskonomy").invalid_depth == (65535,)


def test_a_large_photograph_is_read_without_a_word(tmp_path: Path) -> None:
    Image.fromarray(noise(HEIGHT, WIDTH, 3)).save(tmp_path / "panorama.png")
    read = f"""
from pathlib import Path
from PIL import Image
from multimae.data.decode import decode
from multimae.data.spec import spec
Image.MAX_IMAGE_PIXELS = {HEIGHT * WIDTH - 1}
print(decode(Path("panorama.png"), modality="rgb", spec=spec("nyuv2")).shape)
"""
    done = subprocess.run([sys.executable, "-c", read], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (f"({HEIGHT}, {WIDTH}, 3)", "")


@dataclass(frozen=True, kw_only=True)
class Untouched:
    """Files that a preparation takes over as they are."""

    root: Path

    def items(self) -> list[Item]:
        return [Item(name="x", outputs=("all/0002.png",), bytes_estimate=0)]

    def provenance(self) -> Provenance:
        return Provenance(dataset="nyuv2", source="x")

    def convert(self, item: Item, out: Path) -> None:
        shutil.copy(self.root / item.outputs[0], out / item.outputs[0])


def test_a_photograph_that_is_too_large_is_refused_by_name(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path) / "nyuv2"
    bomb("train/rgb/all/0002.png")(root)
    words = "0002.png: has more pixels than the 178,956,970 that are read; shrink it, or remove its sample"
    for read in (partial(decode, modality="rgb", spec=SPEC), read_image):
        with pytest.raises(DataError, match=words):
            read(root / "train/rgb/all/0002.png")
    prepared = prepare(Untouched(root=root / "train/rgb"), out=tmp_path / "prepared", workers=1)
    assert [words in said for said in prepared.damaged.values()] == [True]
    packed = prepare(PackSource(root=root, dataset="nyuv2"), out=tmp_path / "packed", workers=1)
    assert [words in said for said in packed.damaged.values()] == [True]


def test_training_is_loud_about_a_code_far_from_all_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tiny_dataset.write(tmp_path)
    stored = tiny_dataset.maps()["depth"]
    told = []
    for code in (stored[0, 0], 65535):
        for path in (root / "nyuv2").glob("train/depth/all/*.png"):
            Image.fromarray(np.where(stored < 1100, np.uint16(code), stored)).save(path)
        for described in (SPEC, replace(SPEC, invalid_depth=(65535,))):
            caplog.clear()
            folder = MultiModalFolder(
                root=root, dataset=vars(described), split="train", modalities=["depth"], pipeline=lambda x: x
            )
            median_depth_mm(folder)
            told.append(caplog.text)
    assert [bool(text) for text in told] == [False, False, True, False]
    assert "depth of nyuv2 is 65535 in 2.1 % of the pixels, in 6 of 6 images" in told[2]
    assert "invalid_depth=(65535,)" in told[2]

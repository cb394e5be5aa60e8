"""Conventions that only all files together show: codes of no reading, how classes are counted, palettes, turns."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data.open import open_dataset
from multimae.data.outliers import outlying_codes
from multimae.data.sets.nyuv2 import SPEC as NYUV2
from multimae.data.spec import DatasetSpec
from multimae.packing.source import PackSource
from multimae.prepare.conversion import prepare
from multimae.verify.check import Effort, verify
from multimae.verify.findings import FAULTS, Finding
from tests.made import tiny_dataset
from tests.made.checks import check

HEIGHT, WIDTH = 32, 48
CLASSES = ("wall", "floor", "bed", "chair")
SPEC = DatasetSpec(name="mine", title="Mine", classes=CLASSES, modalities=("rgb", "depth", "semseg"))
EXIF_ORIENTATION = 0x0112
Files = Mapping[str, tuple[np.ndarray, ...]]


def depth(seed: int, *, code: int = 0, share: float = 0.0) -> np.ndarray:
    """Return a sloping floor 0.5 to 4.5 m away, measured with noise, with a hole that holds a code."""
    generator = np.random.default_rng(seed)
    slope = np.linspace(500, 4500, HEIGHT)[:, None] + generator.normal(0, 20, (HEIGHT, WIDTH))
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole.ravel()[: round(share * hole.size)] = True
    return np.where(hole, code, slope).astype(np.uint16)


def labels(*codes: int) -> np.ndarray:
    """Return upright stripes of these codes."""
    return np.tile(np.array(codes, np.uint8).repeat(-(-WIDTH // len(codes)))[:WIDTH], (HEIGHT, 1))


def in_palette(pixels: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(pixels)
    image.putpalette([level for colour in colours for level in colour])
    return image


def write(root: Path, *, split: str, modality: str, maps: tuple[np.ndarray | Image.Image, ...]) -> None:
    folder = root / "mine" / split / modality / "all"
    folder.mkdir(parents=True)
    for index, map_ in enumerate(maps):
        image = map_ if isinstance(map_, Image.Image) else Image.fromarray(map_)
        image.save(folder / f"{split}{index}.png")


def found(root: Path, *, described: DatasetSpec = SPEC, sample: int | None = None) -> list[Finding]:
    checked = verify(open_dataset(root / "mine", described), effort=Effort(sample=sample))
    return [finding for finding in checked.findings if finding.kind not in ("missing_split", "missing_modality")]


OUTLIERS: dict[str, tuple[tuple[np.ndarray, ...], tuple[int, ...]]] = {
    "no reading is 65535": (tuple(depth(seed, code=65535, share=0.08) for seed in range(10)), (65535,)),
    "a few pixels of it": (tuple(depth(seed, code=65535, share=0.002) for seed in range(10)), (65535,)),
    "in one map alone": ((*map(depth, range(9)), depth(9, code=65535, share=0.1)), (65535,)),
    "65534": (tuple(depth(seed, code=65534, share=0.3) for seed in range(10)), (65534,)),
    "the range of a sensor": (tuple(depth(seed, code=10000, share=0.05) for seed in range(10)), (10000,)),
    "two codes": (
        (*(depth(seed, code=60000, share=0.05) for seed in range(5)),
         *(depth(seed, code=65535, share=0.2) for seed in range(5))),
        (60000, 65535),
    ),
    "a code too near to be a depth": (tuple(depth(seed, code=7, share=0.05) for seed in range(10)), (7,)),
    "nothing": (tuple(map(depth, range(10))), ()),
    "zero is no reading": (tuple(depth(seed, code=0, share=0.3) for seed in range(10)), ()),
    "a far wall in one map": ((*map(depth, range(9)), depth(9, code=20000, share=0.1)), ()),
    "far walls of all depths": (tuple(depth(seed, code=9000 + 500 * seed, share=0.1) for seed in range(10)), ()),
    "one map of one depth": ((np.full((HEIGHT, WIDTH), 65535, np.uint16),), ()),
    "steps of 39 mm": (tuple(depth(seed) // 39 * 39 for seed in range(10)), ()),
    "predicted depth, each map up to 65535": (
        tuple(np.rint(1 + 65534 * (depth(seed) / depth(seed).max()) ** 3).astype(np.uint16) for seed in range(10)),
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTLIERS)
def test_codes_of_depth_that_are_far_from_all_others(tmp_path: Path, name: str) -> None:
    maps, codes = OUTLIERS[name]
    write(tmp_path, split="train", modality="depth", maps=maps)
    findings = found(tmp_path)
    assert [finding.kind for finding in findings] == ["outlying_depth"] * len(codes)
    for finding, code in zip(findings, codes, strict=True):
        assert finding.detail.startswith(f"{code} in ")
        assert (finding.severity, finding.split, finding.modality) == ("warning", "train", "depth")
    assert "DatasetSpec(invalid_depth=(...))" in FAULTS["outlying_depth"].remedy
    assert found(tmp_path, described=replace(SPEC, invalid_depth=codes)) == []


def test_the_share_of_the_code_and_the_end_of_the_rest_are_named(tmp_path: Path) -> None:
    write(tmp_path, split="train", modality="depth", maps=OUTLIERS["no reading is 65535"][0])
    (finding,) = found(tmp_path)
    assert finding.detail.startswith("65535 in 8 % of the pixels, in 10 of 10 maps looked at; all others but a")
    assert 4400 < int(finding.detail.rsplit(" ", 1)[1]) < 4700


def test_packed_depth_keeps_the_code_and_is_told_the_same_of(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path) / "nyuv2"
    for path in root.glob("*/depth/all/*.png"):
        stored = tiny_dataset.maps()["depth"].copy()
        stored[:7] = 65535
        Image.fromarray(stored).save(path)
    prepare(PackSource(root=root, dataset="nyuv2"), out=tmp_path / "packed", workers=1)
    plain, packed = (
        {(one.kind, one.split, one.detail) for one in check(place).findings} for place in (root, tmp_path / "packed")
    )
    assert plain == packed
    assert {(kind, split) for kind, split, _ in plain} == {("outlying_depth", split) for split in ("train", "test")}
    described = replace(NYUV2, invalid_depth=(65535,))
    assert verify(open_dataset(tmp_path / "packed", described), effort=Effort(sample=None)).findings == ()


LABELS: dict[str, tuple[Files, DatasetSpec, list[tuple[str, str, str]]]] = {
    "as the data set counts": ({"train": (labels(0, 1, 2, 3, 4),), "test": (labels(4, 3, 2, 1),)}, SPEC, []),
    "from 0": (
        {"train": (labels(0, 1, 2, 3),), "test": (labels(3, 0, 1, 2),)},
        SPEC,
        [
            ("counted_from_zero", "", "4 (chair) never occurs, of the labels below 3 of 3 do, and 0 in 25 %"),
            ("never_trained", "train", "1 of 4 in 1 files: chair"),
            ("never_tested", "test", "1 of 4 in 1 files: chair"),
        ],
    ),
    "from 0, and described so": (
        {"train": (labels(0, 1, 2, 3),), "test": (labels(3, 0, 1, 2, 255),)}, replace(SPEC, first_label=0), []
    ),
    "from 1 under a data set that counts from 0": (
        {"train": (labels(0, 1, 2, 3, 4),), "test": (labels(0, 1, 2, 3),)},
        replace(SPEC, first_label=0),
        [("values", "train", "mine has labels 0 to 3, and 255 for unlabelled; do they count from 1?")],
    ),
    "255 under a data set that counts from 1": (
        {"train": (labels(1, 2, 3, 255),), "test": (labels(1, 2, 3, 4),)},
        SPEC,
        [("values", "train", "mine has labels 1 to 4, and 0 for unlabelled; do they count from 0?")],
    ),
    "trained classes that are not tested": (
        {"train": (labels(1, 2, 3, 4),), "test": (labels(1, 2, 4), labels(4, 2))},
        SPEC,
        [("never_tested", "test", "1 of 4 in 2 files: bed; train has bed")],
    ),
    "tested classes that are not trained": (
        {"train": (labels(1, 3, 4), labels(1)), "test": (labels(1, 2, 3, 4),)},
        SPEC,
        [("never_trained", "train", "1 of 4 in 2 files: floor; test has floor")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_do_not_fit_the_data_set(tmp_path: Path, name: str) -> None:
    files, described, expected = LABELS[name]
    for split, maps in files.items():
        write(tmp_path, split=split, modality="semseg", maps=maps)
    findings = found(tmp_path, described=described)
    assert [(finding.kind, finding.split) for finding in findings] == [(kind, split) for kind, split, _ in expected]
    assert all(words in finding.detail for finding, (_, _, words) in zip(findings, expected, strict=True))


def test_no_class_is_said_to_be_missing_where_not_all_files_were_looked_at(tmp_path: Path) -> None:
    write(tmp_path, split="train", modality="semseg", maps=(labels(1, 3, 4),) * 3)
    write(tmp_path, split="test", modality="semseg", maps=(labels(1, 2, 3, 4),) * 3)
    assert found(tmp_path, sample=2) == []
    assert [finding.kind for finding in found(tmp_path, sample=3)] == ["never_trained"]


BLACK, RED, GREEN, BLUE = (0, 0, 0), (128, 0, 0), (0, 128, 0), (0, 0, 128)
PLAIN = in_palette(labels(0, 1, 2, 3), BLACK, RED, GREEN, BLUE)
PALETTES: dict[str, tuple[Image.Image, tuple[str, str] | None]] = {
    "the same": (PLAIN, None),
    "cut to what is used": (in_palette(labels(0, 1), BLACK, RED), None),
    "of other colours": (in_palette(labels(0, 1, 2, 3), BLACK, (9, 9, 9), (7, 7, 7), (5, 5, 5)), None),
    "sorted by an optimiser": (
        in_palette(labels(3, 2, 1, 0), BLUE, GREEN, RED, BLACK),
        (
            "reordered_palette",
            "0 has the colour of 3, 1 has the colour of 2, 2 has the colour of 1, 3 has the colour of 0",
        ),
    ),
    "with one colour left": (in_palette(labels(0), GREEN), ("reordered_palette", "0 has the colour of 2")),
    "converted to grey": (
        PLAIN.convert("RGB").convert("L").point(lambda level: min(level, 4)),
        ("without_palette", ""),
    ),
}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_that_disagree_with_their_codes(tmp_path: Path, name: str) -> None:
    odd, expected = PALETTES[name]
    write(tmp_path, split="train", modality="semseg", maps=(PLAIN, PLAIN, odd, PLAIN))
    findings = [one for one in found(tmp_path) if "palette" in one.kind]
    seen = [(one.kind, one.name, one.detail) for one in findings]
    assert seen == ([(expected[0], "train/semseg/all/train2.png", expected[1])] if expected else [])


def test_where_all_files_were_optimised_the_data_sets_own_palette_tells(tmp_path: Path) -> None:
    described = replace(SPEC, palette=(RED, GREEN, BLUE, (128, 128, 0)))
    sorted_by_use = in_palette(labels(0, 1, 2), BLUE, RED, BLACK)
    write(tmp_path, split="train", modality="semseg", maps=(sorted_by_use,) * 3)
    kinds = [one.kind for one in found(tmp_path, described=described) if "palette" in one.kind]
    assert kinds == ["reordered_palette"] * 3


def turn(path: Path, *, orientation: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)


def turned_upright(path: Path) -> None:
    with Image.open(path) as image:
        upright = image.transpose(Image.Transpose.ROTATE_270)
    upright.save(path)


TURNED: dict[str, tuple[int, Callable[[Path], None], tuple[str, str] | None]] = {
    "labels of the stored photograph": (6, lambda path: None, ("unturned", "the sizes match only without that")),
    "labels of what viewers show": (6, turned_upright, None),
    "a half turn": (3, lambda path: None, ("maybe_unturned", "orientations: rgb 3, depth 1, semseg 1")),
    "upright": (1, lambda path: None, None),
}


@pytest.mark.parametrize("name", TURNED)
def test_maps_drawn_on_the_photograph_as_it_is_stored(root: Path, name: str) -> None:
    orientation, prepare_others, expected = TURNED[name]
    turn(root / "train/rgb/all/0001.png", orientation=orientation)
    for path in root.glob("train/*/all/0001.png"):
        if path.parts[-3] != "rgb":
            prepare_others(path)
    findings = check(root).findings
    assert [(one.kind, one.name) for one in findings] == ([(expected[0], "0001")] if expected else [])
    assert not expected or expected[1] in findings[0].detail


@pytest.mark.parametrize(("alpha", "kinds"), [(255, []), (254, ["transparent"]), (0, ["transparent"])])
def test_photographs_that_are_partly_transparent(root: Path, alpha: int, kinds: list[str]) -> None:
    path = root / "train/rgb/all/0001.png"
    with Image.open(path) as image:
        image.load()
        image.putalpha(255)
        image.putpixel((3, 4), (9, 9, 9, alpha))
        image.save(path)
    assert [finding.kind for finding in check(root).findings] == kinds


def test_outliers_of_nothing() -> None:
    assert outlying_codes(np.zeros(65536, np.int64), maps=np.zeros(65536, np.int64)) == ()

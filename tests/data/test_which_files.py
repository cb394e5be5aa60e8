"""Which files are data: what counts, what is left out without harm, and what is refused as images would be lost.

One table; every row is read by training, by the check and by packing.
"""

import hashlib
import io
import json
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multimae.data.dataset import OpenedDataset
from multimae.data.decode import decode
from multimae.data.files import EXACT, PHOTOGRAPHIC, UNREAD
from multimae.data.folder import MultiModalFolder
from multimae.data.open import open_dataset
from multimae.data.sample import DataError
from multimae.data.spec import DatasetSpec, spec
from multimae.data_cli import main
from multimae.engine.failures import SettingsError
from multimae.packing.source import PackSource
from multimae.prepare.ade20k import scene_parsing
from multimae.prepare.conversion import prepare
from multimae.prepare.imagenet import images_and_labels
from multimae.pseudo_labels.images import list_images
from multimae.pseudo_labels.manifest import complete, make_room
from multimae.verify.check import Effort, verify
from tests.made import tiny_dataset

FLOWERS = replace(spec("imagenet"), modalities=("rgb",))
Change = Callable[[Path], object]
NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def photograph(seed: int = 0, kind: str = "PNG", **settings: Any) -> bytes:
    rng = np.random.default_rng(seed)
    content = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(content, kind, **settings)
    return content.getvalue()


def classes(root: Path, *, per_class: int = 4, names: tuple[str, ...] = ("daisy", "rose")) -> Path:
    """Write class folders of photographs, half as many for testing, each image another."""
    for split, count in (("train", per_class), ("test", per_class // 2)):
        for number, label in enumerate(names):
            folder = root / split / "rgb" / label
            folder.mkdir(parents=True)
            for index in range(count):
                name = f"{split}_{index}.png"
                (folder / name).write_bytes(photograph(100 * number + 10 * index + (split == "test")))
    return root


def opened(root: Path, described: DatasetSpec = FLOWERS) -> OpenedDataset:
    return open_dataset(root, described)


def train(root: Path, *, split: str = "train", **changes: Any) -> MultiModalFolder:
    settings = {"root": root, "dataset": "imagenet", "split": split, "modalities": ["rgb"], "labelled": True}
    return MultiModalFolder(**{**settings, "pipeline": lambda sample: sample, **changes})  # type: ignore[arg-type]


def checked(root: Path, described: DatasetSpec = FLOWERS) -> dict[tuple[str, str], str]:
    """Return what the check finds: the details by kind and place."""
    found = verify(opened(root, described), effort=Effort(sample=None))
    return {(entry.kind, entry.name): entry.detail for entry in found.findings}


def pack(root: Path, out: Path, **settings: Any) -> Mapping[str, int]:
    return prepare(PackSource(root=root, dataset="imagenet", **settings), out=out, workers=1).left_out


def put(path: str, content: bytes = b"x") -> Change:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return change


def folder(path: str) -> Change:
    return lambda root: (root / path).mkdir(parents=True)


@dataclass(frozen=True, kw_only=True)
class Harmless:
    """What lies beside the samples and is none: everything reads on as if it were not there; the check names it."""

    change: Change
    name: str
    detail: str


HARMLESS = {
    "empty checkpoints of Jupyter in train": Harmless(
        change=folder("train/rgb/.ipynb_checkpoints"), name="train/rgb", detail="1 hidden, its name begins with a dot"
    ),
    "checkpoints of Jupyter with images": Harmless(
        change=put("train/rgb/.ipynb_checkpoints/x-checkpoint.png", photograph()),
        name="train/rgb",
        detail="1 hidden, its name begins with a dot: .ipynb_checkpoints",
    ),
    "checkpoints of Jupyter in a class": Harmless(
        change=put("train/rgb/daisy/.ipynb_checkpoints/x.png", photograph()), name="train/rgb/daisy", detail="1 hidden"
    ),
    "resource forks of macOS": Harmless(
        change=put("train/rgb/rose/._train_0.png"), name="train/rgb/rose", detail="1 hidden, its name begins with a dot"
    ),
    "the Finder's notes": Harmless(change=put("test/rgb/.DS_Store"), name="test/rgb", detail="1 hidden"),
    "thumbnails of Windows": Harmless(
        change=put("train/rgb/rose/Thumbs.db"), name="train/rgb/rose", detail="1 made by an operating system or a tool"
    ),
    "settings of Windows": Harmless(
        change=put("train/rgb/desktop.ini"), name="train/rgb", detail="1 made by an operating system or a tool"
    ),
    "thumbnails of a network drive": Harmless(
        change=put("train/rgb/rose/@eaDir/train_0.png/SYNOPHOTO_THUMB_M.jpg", photograph(kind="JPEG")),
        name="train/rgb/rose",
        detail="1 made by an operating system or a tool: @eaDir",
    ),
    "an archive's other half": Harmless(
        change=put("train/rgb/__MACOSX/daisy/._x.png", photograph()), name="train/rgb", detail="1 made by an operating"
    ),
    "notes": Harmless(change=put("test/rgb/rose/notes.txt"), name="test/rgb/rose", detail="1 no image, by its suffix"),
    "an empty class of the test split": Harmless(
        change=folder("test/rgb/tulip"), name="test/rgb", detail="1 a folder without images: tulip"
    ),
    "an original beside what was made of it": Harmless(
        change=put("train/rgb/rose/train_0.heic"),
        name="train/rgb/rose",
        detail="1 in a format that is not read, beside a file of the same name that is: train_0.heic",
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_data_changes_nothing_and_is_named(tmp_path: Path, name: str) -> None:
    case = HARMLESS[name]
    root = classes(tmp_path / "plain")
    before = [opened(root).samples(split, ("rgb",)) for split in ("train", "test")]
    fingerprint = opened(root).fingerprint(("train", "test"), ("rgb",))
    assert checked(root) == {}
    case.change(root)
    assert [opened(root).samples(split, ("rgb",)) for split in ("train", "test")] == before
    assert opened(root).fingerprint(("train", "test"), ("rgb",)) == fingerprint
    assert opened(root).class_names() == ("daisy", "rose")
    assert train(root).class_names == ("daisy", "rose")
    found = checked(root)
    assert list(found) == [("left_out", case.name)]
    assert case.detail in found["left_out", case.name]
    [(reason, count)] = pack(root, tmp_path / "packed").items()
    assert f"{count} {reason}" in found["left_out", case.name]
    assert opened(tmp_path / "packed").class_names() == ("daisy", "rose")
    assert checked(tmp_path / "packed")["left_out", ""].startswith(f"{count} {reason}")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What would lose images: training, packing and the check say which and why, each with this text."""

    change: Change
    kind: str = "lost_images"
    name: str = "train/rgb"
    said: str


def move(path: str, target: str) -> Change:
    def change(root: Path) -> None:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(root / target)

    return change


def flat(root: Path) -> None:
    """Put all images of train into the modality's folder, with one left in a folder of its own."""
    for path in sorted((root / "train" / "rgb").glob("*/*.png")):
        path.rename(root / "train" / "rgb" / f"{path.parent.name}_{path.name}")
    shutil.rmtree(root / "train" / "rgb" / "rose")
    (root / "train" / "rgb" / "daisy" / "one.png").write_bytes(photograph(7))


REFUSED = {
    "a format that is not read": Refused(
        change=move("train/rgb/rose/train_1.png", "train/rgb/rose/train_1.heic"),
        name="train/rgb/rose",
        said="1 images in a format that is not read: train_1.heic; convert them to .png",
    ),
    "a class of nothing else": Refused(
        change=put("train/rgb/tulip/a.jxl"),
        name="train/rgb/tulip",
        said="1 images in a format that is not read: a.jxl",
    ),
    "arrays": Refused(
        change=put("train/rgb/rose/more.npy"), name="train/rgb/rose", said="1 images in a format that is not read"
    ),
    "a stray folder beside flat images": Refused(
        change=flat, said="8 images beside folders of images: daisy_train_0.png, daisy_train_1.png"
    ),
    "an image beside classes": Refused(
        change=put("train/rgb/x.png", photograph(5)), said="1 images beside folders of images: x.png"
    ),
    "images beside the folder all": Refused(
        change=put("train/rgb/all/x.png", photograph(5)), said="2 images beside folders of images: daisy, rose"
    ),
    "a folder in a class": Refused(
        change=move("train/rgb/rose/train_1.png", "train/rgb/rose/more/train_1.png"),
        name="train/rgb/rose",
        said="1 folders of images below the folders that are read: more",
    ),
    "an empty class": Refused(
        change=folder("train/rgb/tulip"), kind="empty_class", said="1 a folder without images: tulip"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_image_is_lost_without_a_word(tmp_path: Path, name: str) -> None:
    case = REFUSED[name]
    root = classes(tmp_path / "plain")
    case.change(root)
    found = checked(root)
    assert case.said in found[case.kind, case.name]
    told = "folders of classes without images, such as 'tulip'" if case.kind == "empty_class" else case.said
    with pytest.raises(DataError, match=r"train") as training:
        train(root)
    with pytest.raises(DataError) as packing:
        pack(root, tmp_path / "packed")
    assert told in str(training.value)
    assert told in str(packing.value)


def test_the_command_names_what_is_left_out_by_split_and_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = classes(tmp_path / "imagenet")
    put("train/rgb/rose/Thumbs.db")(root)
    put("test/rgb/daisy/a.heic")(root)
    command = ["verify", "imagenet", "--data-root", str(root), "--workers", "1"]
    assert main(command) == 3
    said = capsys.readouterr().out
    assert "error: images that are not read, for which all are refused: 1 in test/rgb; see each" in said
    assert "  test/rgb/daisy: 1 images in a format that is not read: a.heic; convert them to .png" in said
    assert "warning: files and folders that are not data: 1 in train/rgb; nothing reads them" in said
    assert "  train/rgb/rose: 1 made by an operating system or a tool: Thumbs.db" in said
    main([*command, "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [
        (entry["severity"], entry["name"]) for entry in findings if entry["kind"] in ("lost_images", "left_out")
    ] == [
        ("warning", "train/rgb/rose"),
        ("error", "test/rgb/daisy"),
    ]


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


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


NYUV2 = spec("nyuv2")
MODALITIES = ("rgb", "depth", "semseg")


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


def test_names_are_one_however_a_system_spells_them(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    for modality, name in (("rgb", NFD), ("depth", NFC)):
        array = tiny_dataset.maps()[modality]
        for split in ("train", "test"):
            (root / split / modality / "all").mkdir(parents=True)
            Image.fromarray(array).save(root / split / modality / "all" / f"{name}_{split}.png")
    samples = opened(root, NYUV2).samples("train", ("rgb", "depth"))
    assert samples.names == (f"{NFC}_train",)
    assert all(path.is_file() for path in samples[0].paths.values())  # type: ignore[union-attr]
    assert {kind for kind, _ in checked(root, NYUV2)} == {"missing_modality"}
    assert opened(root, NYUV2).fingerprint(("train",), ("rgb", "depth"))
    pack(root, tmp_path / "packed")
    assert opened(tmp_path / "packed").samples("train", ("rgb", "depth")).names == (f"{NFC}_train",)


def test_class_folders_are_one_however_a_system_spells_them(tmp_path: Path) -> None:
    root = classes(tmp_path, names=(NFC, "rose"))
    (root / "test" / "rgb" / NFC).rename(root / "test" / "rgb" / NFD)
    assert train(root).class_names == (NFC, "rose")
    test = train(root, split="test")
    assert [test.read(index).label for index in range(4)] == [0, 0, 1, 1]
    assert checked(root) == {}


@pytest.mark.parametrize("what", ["files", "folders"])
def test_two_of_one_name_in_two_spellings_are_refused(tmp_path: Path, what: str) -> None:
    root = classes(tmp_path)
    if what == "files":
        for name in (NFC, NFD):
            put(f"train/rgb/rose/{name}.png", photograph(3))(root)
    else:
        for name in (NFC, NFD):
            put(f"train/rgb/{name}/x{len(name)}.png", photograph(3))(root)
    with pytest.raises(DataError, match=r"caf.*\\xe9.* and .*cafe\\u0301.*two spellings|cafe\\u0301.* and .*caf"):
        train(root)
    assert any("two spellings" in detail for (kind, _), detail in checked(root).items() if kind == "unlistable")


@pytest.mark.parametrize(
    ("rgb", "depth", "said"),
    [
        ("frame-{:06d}.color", "frame-{:06d}.depth", r"rgb's end with '\.color' .*, depth's end with '\.depth'"),
        ("rgb_{:05d}", "sync_depth_{:05d}", r"rgb's begin with 'rgb_' .*, depth's begin with 'sync_depth_'"),
        ("{}_rgb", "{}", r"rgb's end with '_rgb' \(0_rgb\), depth's end with ''"),
    ],
)
def test_names_that_differ_in_what_stands_around_them_are_told_so(rooms: Path, rgb: str, depth: str, said: str) -> None:
    for modality, pattern in (("rgb", rgb), ("depth", depth)):
        for split in ("train", "test"):
            for path in sorted((rooms / split / modality / "all").iterdir()):
                path.rename(path.with_name(f"{pattern.format(int(path.stem))}.png"))
    for unneeded in ("semseg", "mask_valid", "normal"):
        for split in ("train", "test"):
            shutil.rmtree(rooms / split / unneeded)
    with pytest.raises(DataError, match=rf"{said}.* Rename the files: one name a sample"):
        opened(rooms, NYUV2).samples("train", ("rgb", "depth"))
    found = checked(rooms, NYUV2)
    assert {kind for kind, _ in found} == {"other_affixes", "missing_modality"}


def test_other_modalities_do_not_hide_that_two_differ_around_the_edges(rooms: Path) -> None:
    for path in sorted((rooms / "train" / "depth" / "all").iterdir()):
        path.rename(path.with_name(f"{path.stem}_depth.png"))
    with pytest.raises(DataError, match=r"rgb's end with '' \(0000\), depth's end with '_depth' \(0000_depth\)"):
        opened(rooms, NYUV2).samples("train", MODALITIES)
    assert {kind for kind, _ in checked(rooms, NYUV2)} == {"other_affixes"}


HEAD = "name,label\n"
ROWS = [(f"{index:04d}", "ab"[index % 2]) for index in range(6)]
PLAIN = HEAD + "".join(f"{name},{label}\n" for name, label in ROWS)
SOUND = {
    "as we write it": PLAIN.encode(),
    "fully quoted": ('"name","label"\n' + "".join(f'"{name}","{label}"\n' for name, label in ROWS)).encode(),
    "of a spreadsheet": PLAIN.replace("\n", "\r\n").encode("utf-8-sig"),
    "with spaces": PLAIN.replace(",", " , ").encode(),
    "with empty lines": (PLAIN + "\n\n,\n").encode(),
    "without an end of the last line": PLAIN.rstrip().encode(),
    "of an old Macintosh": PLAIN.replace("\n", "\r").encode(),
}
UNSOUND = {
    "without a head": (PLAIN.removeprefix(HEAD).encode(), "its first row is the head name,label, and here a sample's"),
    "semicolons": (PLAIN.replace(",", ";").encode(), "row 2 is '0000;a', wanted name,label in every row"),
    "an empty label": (PLAIN.replace("0001,b", "0001,").encode(), "row 3 is '0001,', wanted name,label in every row"),
    "one name twice": ((PLAIN + "0001,a\n").encode(), "row 8 says 'a' of 0001, a row above it 'b'; keep one"),
    "Latin-1": (PLAIN.replace(",b", ",é").encode("latin-1"), "labels.csv is not UTF-8, see line 3"),
    "UTF-16": (PLAIN.encode("utf-16"), "labels.csv is UTF-16"),
    "open quotes": (PLAIN.replace("0001,b", '0001,"b').encode(), "row 3 begins with '0001' and goes on over several"),
    "names of files": (PLAIN.replace(",", ".png,").encode(), "its names have the suffixes of files: take those off"),
    "names with folders": (PLAIN.replace("\n0", "\nall/0").encode(), "its names have other folders: 0000 is the whole"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_table_of_labels_is_read_as_a_spreadsheet_reads_it(rooms: Path, name: str) -> None:
    (rooms / "train" / "labels.csv").write_bytes(SOUND[name])
    shutil.rmtree(rooms / "test")
    shutil.copytree(rooms / "train", rooms / "test")
    read = train(rooms, dataset="nyuv2")
    assert read.class_names == ("a", "b")
    assert [read.read(index).label for index in range(6)] == [0, 1] * 3
    assert {kind for kind, _ in checked(rooms, NYUV2)} == {"leak"}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_table_that_says_something_else_is_refused_with_the_reason(rooms: Path, name: str) -> None:
    content, said = UNSOUND[name]
    (rooms / "train" / "labels.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        train(rooms, dataset="nyuv2")
    assert said in str(refused.value)
    assert "label_rows" in {kind for kind, _ in checked(rooms, NYUV2)}


def test_labels_may_hold_commas_and_letters_in_two_spellings(tmp_path: Path) -> None:
    root = classes(tmp_path / "plain", names=("all",))
    names = [path.stem for path in sorted((root / "train" / "rgb" / "all").iterdir())]
    said = [f'"{NFD}, black"', f"{NFC}, black", "tea", "tea"]
    for split, some in (("train", names), ("test", ["test_0", "test_1"])):
        rows = "".join(f"{name},{label}\n" for name, label in zip(some, said, strict=False))
        (root / split / "labels.csv").write_text(HEAD + rows, "utf-8")
    assert train(root).class_names == (f"{NFC}, black", "tea")
    pack(root, tmp_path / "packed")
    packed = train(tmp_path / "packed")
    assert packed.class_names == (f"{NFC}, black", "tea")
    assert packed.numbers_of_classes() == train(root).numbers_of_classes() == [0, 0, 1, 1]


def test_labelling_walks_past_what_is_no_data_and_stops_at_images_it_cannot_read(tmp_path: Path) -> None:
    root = classes(tmp_path)
    everything = list_images(root / "train")
    for case in ("checkpoints of Jupyter with images", "resource forks of macOS", "thumbnails of a network drive"):
        HARMLESS[case].change(root)
    assert list_images(root / "train") == everything
    put("train/rgb/rose/new.heic")(root)
    with pytest.raises(DataError, match=r"rgb/rose has 1 images in a format that is not read: new\.heic; convert"):
        list_images(root / "train")


def test_labels_without_a_manifest_are_others_but_files_of_tools_are_no_labels(tmp_path: Path) -> None:
    put("@eaDir/x.png/SYNOPHOTO_THUMB_M.png")(tmp_path)
    put("all/._x.png")(tmp_path)
    make_room(tmp_path, model="m", identity={}, others="refuse")
    put("all/x.tif")(tmp_path)
    with pytest.raises(SettingsError, match=r"not written here, such as all/x\.tif"):
        make_room(tmp_path, model="m", identity={}, others="refuse")
    assert complete(tmp_path) == 1


def test_fingerprints_are_those_of_names_and_sizes(rooms: Path) -> None:
    """As in every release before: other fingerprints would make every run a new one."""
    files = [path for name in (*MODALITIES, "mask_valid") for path in (rooms / "train" / name / "all").iterdir()]
    lines = sorted(f"train/{path.parts[-3]}/{path.name} {path.stat().st_size}" for path in files)
    expected = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert opened(rooms, NYUV2).fingerprint(("train",), MODALITIES) == expected


def test_a_modality_that_cannot_be_listed_is_not_packed_around(rooms: Path, tmp_path: Path) -> None:
    shutil.copy(rooms / "train" / "depth" / "all" / "0001.png", rooms / "train" / "depth" / "all" / "0001.tif")
    with pytest.raises(DataError, match=r"0001\.(png|tif) and 0001\.(png|tif) are two files for one sample"):
        prepare(PackSource(root=rooms, dataset="nyuv2"), out=tmp_path / "packed", workers=1)


def test_a_folder_beside_the_modalities_gives_no_classes(tmp_path: Path) -> None:
    root = classes(tmp_path)
    put("train/backup/lily/x.png", photograph())(root)
    assert train(root).class_names == ("daisy", "rose")
    assert list(checked(root)) == [("unknown_folder", "")]


def test_a_moving_picture_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((24, 32, 3), level, np.uint8)) for level in (10, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="the file holds 2 images, wanted one"):
        decode(tmp_path / "moving.gif", modality="rgb", spec=spec("rooms"))


PUBLISHED = {
    "train/n01440764/n01440764_1.JPEG": None,
    "train/n01440764/._n01440764_1.JPEG": "hidden, its name begins with a dot",
    "train/n01440764/n01440764_2.heic": "images in a format that is not read",
    "train/n01440764/Thumbs.db": "made by an operating system or a tool",
}


def test_preparations_count_what_they_leave_out(tmp_path: Path) -> None:
    for path in PUBLISHED:
        put(path, photograph(kind="JPEG"))(tmp_path / "from")
    done = prepare(images_and_labels(tmp_path / "from", out=tmp_path / "out"), out=tmp_path / "out", workers=1)
    assert done.left_out == dict.fromkeys(filter(None, PUBLISHED.values()), 1)
    assert [path.name for path in (tmp_path / "out" / "train").rglob("*.*")] == ["n01440764_1.JPEG"]


def test_an_archive_made_on_a_mac_holds_its_images_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ADEChallengeData2016.zip", "w") as archive:
        for above in ("ADEChallengeData2016", "__MACOSX/ADEChallengeData2016"):
            for folder_name, ending in (("images", "jpg"), ("annotations", "png")):
                name = "._ADE_train_1" if "MAC" in above else "ADE_train_1"
                archive.writestr(f"{above}/{folder_name}/training/{name}.{ending}", photograph(kind="JPEG"))
    outputs = [output for item in scene_parsing(tmp_path, out=tmp_path / "out").items() for output in item.outputs]
    assert sorted(outputs) == ["train/rgb/all/ADE_train_1.jpg", "train/semseg/all/ADE_train_1.png"]

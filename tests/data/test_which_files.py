"""Which files are data: what counts, what is left out without harm, and what is refused as images would be lost.

One table; every row is read by training, by the check and by packing.
"""

import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from multimae.data.sample import DataError
from multimae.data_cli import main
from multimae.engine.failures import SettingsError
from multimae.packing.source import PackSource
from multimae.prepare.ade20k import scene_parsing
from multimae.prepare.conversion import prepare
from multimae.prepare.imagenet import images_and_labels
from multimae.pseudo_labels.images import list_images
from multimae.pseudo_labels.manifest import complete, make_room
from tests.made import tiny_dataset
from tests.made.class_folders import (
    MODALITIES,
    NFC,
    NFD,
    NYUV2,
    Change,
    checked,
    classes,
    opened,
    pack,
    photograph,
    put,
    train,
)


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


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

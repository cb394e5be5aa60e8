"""Data sets are read from the folders in which they are published, and follow the contract there."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data.arrangements import (
    BuildingViews,
    ClassFolders,
    ModalityFolders,
    SceneParsing,
    arrangement,
    is_arranged,
)
from multimae.data.dataset import OpenedDataset
from multimae.data.folder import MultiModalFolder
from multimae.data.open import find_root, open_dataset
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.sets import ade20k, imagenet, taskonomy
from multimae.data.spec import spec
from multimae.testing import DatasetContract
from tests.made import published_images as published
from tests.made import tiny_dataset

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared")) / "data"
DOMAINS = (*taskonomy.SPEC.modalities, "mask_valid")
VIEWS = {"allensville": 7, "beechwood": 5, "corozal": 4, "wiconisco": 2, "ihlen": 4, "uvalda": 1}


def shared(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not in {SHARED}")
    return SHARED / name


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, spec("imagenet"))


class TestADE20K(DatasetContract):
    dataset = "ade20k"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        published.write(tmp_path / "ADEChallengeData2016", published.ade20k(num_train=12))
        return tmp_path


class TestTaskonomy(DatasetContract):
    dataset = "taskonomy"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        return published.write(tmp_path / "taskonomy", published.taskonomy(VIEWS, domains=DOMAINS))


class TestImageNet(DatasetContract):
    """With pseudo labels, in the layout of the reference."""

    dataset = "imagenet"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        for split, count in (("train", 6), ("val", 2)):
            for label in published.CLASSES:
                files = published.imagenet_class(label, count=count)
                names = [f"{split}/{{}}/{label}/{split}_{Path(name).stem}" for name in files]
                depth = published.domain_map("depth_zbuffer", seed=0)
                published.write(tmp_path, {name.format("rgb") + ".JPEG": published.jpeg(1) for name in names})
                published.write(tmp_path, {name.format("depth") + ".png": depth for name in names})
                semseg = {name.format("semseg") + ".png": published.label_map(0, classes=132) for name in names}
                published.write(tmp_path, semseg)
        return tmp_path


class TestHypersim(DatasetContract):
    """As prepared: with a validation split of its own."""

    dataset = "hypersim"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        root = tiny_dataset.write(tmp_path).joinpath("nyuv2").rename(tmp_path / "hypersim")
        (root / "val").mkdir()
        for modality in ("rgb", "depth", "semseg", "mask_valid"):
            for path in sorted((root / "train" / modality / "all").iterdir())[:2]:
                (root / "val" / modality / "all").mkdir(parents=True, exist_ok=True)
                path.rename(root / "val" / modality / "all" / path.name)
        return tmp_path


class TestNYUv2With13Classes(DatasetContract):
    dataset = "nyuv2_13"

    @pytest.fixture
    def data_root(self) -> Path:
        return shared("nyuv2").parent


class TestTinyNYUv2With13Classes(DatasetContract):
    dataset = "nyuv2_13"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        return tiny_dataset.write(tmp_path, num_train=8)

    def test_eval_crop_lies_in_every_test_image(self, data_root: Path) -> None:
        pytest.skip("the crop is for 640x480")


def test_13_classes_are_read_from_the_files_of_the_40(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path)
    finer = tiny_dataset.maps()["semseg"]
    read = MultiModalFolder(
        root=root, dataset="nyuv2_13", split="test", modalities=["semseg"], pipeline=lambda sample: sample
    )
    mapped = np.array(spec("nyuv2_13").label_map)[finer]
    assert np.array_equal(read.read(0).maps["semseg"][0].numpy(), mapped)
    path = root / "nyuv2" / "test" / "semseg" / "all" / "0100.png"
    Image.fromarray(np.where(finer == 40, 41, finer)).save(path)
    with pytest.raises(DataError, match=r"0100\.png: .* hold the values \[41\]"):
        read.read(0)


def test_arrangements_are_told_apart(tmp_path: Path) -> None:
    published.write(tmp_path / "ade", published.ade20k())
    published.write(tmp_path / "views", published.taskonomy(VIEWS, domains=("rgb", "normal")))
    published.write(tmp_path / "classes", {"train/daisy/1.jpg": b"", "train/rose/2.jpg": b"", "val/daisy/3.jpg": b""})
    published.write(tmp_path / "ours", {"train/rgb/daisy/1.jpg": b"", "train/depth/daisy/1.png": b""})
    published.write(tmp_path / "unknown_modality", {"train/photographs/all/1.jpg": b""})
    kinds = {name: type(arrangement(tmp_path / name)) for name in ("ade", "views", "classes", "ours")}
    assert kinds == {"ade": SceneParsing, "views": BuildingViews, "classes": ClassFolders, "ours": ModalityFolders}
    assert type(arrangement(tmp_path / "unknown_modality")) is ModalityFolders
    published.write(tmp_path / "ours", {"rgb/allensville/point_0_view_0_domain_rgb.png": b""})
    assert type(arrangement(tmp_path / "ours")) is ModalityFolders
    assert not is_arranged(tmp_path)
    # The folder of a split is not the root of a data set.
    assert not is_arranged(tmp_path / "ours" / "train")


def test_root_goes_by_its_published_name(tmp_path: Path) -> None:
    root = published.write(tmp_path / "ADEChallengeData2016", published.ade20k())
    assert find_root(tmp_path, ade20k.SPEC) == find_root(root, ade20k.SPEC) == root
    with pytest.raises(DataNotFoundError, match=r"(?s)/nyuv2/\{train,val,test\}.*nyu_depth_v2_labeled"):
        find_root(tmp_path, spec("nyuv2_13"))


def test_ade20k_is_read_as_published(tmp_path: Path) -> None:
    root = published.write(tmp_path, published.ade20k())
    train, test = (opened(root).samples(split, ("rgb", "semseg")) for split in ("train", "test"))
    assert train.names == tuple(f"ADE_train_{index:08d}" for index in range(1, 7))
    assert test[0].paths == {
        "rgb": root / "images" / "validation" / "ADE_val_00000001.jpg",
        "semseg": root / "annotations" / "validation" / "ADE_val_00000001.png",
    }
    assert opened(root).class_names() == ()
    assert not opened(root).own_val
    (root / "annotations" / "training" / "ADE_train_00000002.png").unlink()
    with pytest.raises(DataError, match="semseg lacks 1 of 6 names: ADE_train_00000002"):
        opened(root).samples("train", ("rgb", "semseg"))
    with pytest.raises(DataNotFoundError, match=r"no folder .*depth/training; in .* \['annotations', 'im"):
        opened(root).samples("train", ("depth",))


def test_real_ade20k_fits_its_classes() -> None:
    root = shared("ade20k_samples")
    folder = MultiModalFolder(
        root=root, dataset="ade20k", split="test", modalities=["rgb", "semseg"], pipeline=lambda sample: sample
    )
    assert [files.name for files in folder.files] == [f"ADE_val_{index:08d}" for index in (1, 2, 3)]
    seen = {int(label) for index in range(3) for label in folder.read(index).maps["semseg"].unique()}
    # Unlabelled, and the sky: some of the first images are outdoors.
    assert seen > {0, 3}
    assert max(seen) <= 150


def test_class_folders_are_read_as_rgb(tmp_path: Path) -> None:
    files = {f"{split}/{label}/{split}{number}.jpg": published.jpeg(number) for split, label, number in FLOWERS}
    root = published.write(tmp_path, files)
    assert opened(root).class_names() == ("daisy", "rose")
    train = opened(root).samples("train", ("rgb",))
    assert train.names == ("daisy/train1", "daisy/train2", "rose/train3")
    assert opened(root).labels("test", opened(root).samples("test", ("rgb",)).names) == {"rose/val4": "rose"}
    with pytest.raises(DataNotFoundError, match=r"no folder .*train/depth; in .* \['daisy', 'rose'\]"):
        opened(root).samples("train", ("rgb", "depth"))
    before = opened(root).fingerprint(("train", "test"), ("rgb",))
    (root / "val" / "rose" / "val4.jpg").write_bytes(published.jpeg(4) + b"\0")
    assert opened(root).fingerprint(("train", "test"), ("rgb",)) != before


FLOWERS = (("train", "daisy", 1), ("train", "daisy", 2), ("train", "rose", 3), ("val", "rose", 4))


def test_real_flowers_are_read_in_place() -> None:
    root = shared("flowers")
    folder = MultiModalFolder(
        root=root, dataset="imagenet", split="test", modalities=["rgb"], pipeline=lambda sample: sample, labelled=True
    )
    assert len(folder.class_names) == 5
    assert len(opened(root).samples("train", ("rgb",))) == 800
    assert len(folder) == 200
    for index in (0, 199):
        assert folder.files[index].name.startswith(f"{folder.class_names[folder.read(index).label or 0]}/")


def test_messages_on_many_folders_stay_short(tmp_path: Path) -> None:
    root = published.write(tmp_path, {f"train/n{index:08d}/1.JPEG": b"" for index in range(200)})
    with pytest.raises(DataNotFoundError, match=r"'n00000011'\] and 188 more$"):
        opened(root).samples("train", ("depth",))


@pytest.fixture
def views(tmp_path: Path) -> Path:
    return published.write(tmp_path, published.taskonomy(VIEWS, domains=DOMAINS))


def buildings(root: Path, split: str) -> set[str]:
    return {name.split("/")[0] for name in opened(root).samples(split, ("rgb", "normal")).names}


def test_taskonomy_is_split_by_the_buildings_of_its_tiny_split(views: Path) -> None:
    assert buildings(views, "train") == {"allensville", "beechwood"}
    assert buildings(views, "val") == {"corozal", "wiconisco"}
    assert buildings(views, "test") == {"ihlen", "uvalda"}
    assert opened(views).own_val
    assert opened(views).class_names() == ()
    assert opened(views).with_validity("train", ("rgb", "reshading")) == ("rgb", "reshading", "mask_valid")
    first = opened(views).samples("train", ("rgb", "mask_valid"))[0]
    assert first.name == "allensville/point_0_view_0"
    assert first.paths == {
        "rgb": views / "rgb" / "allensville" / "point_0_view_0_domain_rgb.png",
        "mask_valid": views / "mask_valid" / "allensville" / "point_0_view_0_domain_depth_zbuffer.png",
    }


def test_taskonomy_is_split_by_tables(views: Path) -> None:
    (views / "tiny_val.csv").write_bytes(published.split_table(["corozal/1/1", "beechwood/0/0"]))
    assert opened(views).samples("val", ("rgb",)).names == ("beechwood/point_0_view_0", "corozal/point_1_view_1")
    # Without a table for it, training keeps away from every building of another split, listed or not.
    assert buildings(views, "train") == {"allensville"}
    (views / "tiny_train.csv").write_bytes(published.split_table(["allensville/0/0", "allensville/4/1"]))
    assert opened(views).samples("train", DOMAINS).names == ("allensville/point_0_view_0", "allensville/point_4_view_1")
    before = opened(views).fingerprint(("train",), ("rgb",))
    (views / "rgb" / "uvalda" / "point_0_view_0_domain_rgb.png").unlink()
    assert opened(views).fingerprint(("train",), ("rgb",)) == before


def test_taskonomy_without_validation_buildings_has_no_split_of_its_own(tmp_path: Path) -> None:
    root = published.write(tmp_path, published.taskonomy({"allensville": 2, "ihlen": 1}, domains=("rgb",)))
    assert not opened(root).own_val


def test_listed_views_must_be_there(views: Path) -> None:
    (views / "tiny_test.csv").write_bytes(published.split_table(["ihlen/0/0", "ihlen/9/9", "mcdade/1/1"]))
    with pytest.raises(DataError, match=r"rgb lacks 2 of 3 names: ihlen/point_9_view_9, mcdade/point_1_view_1"):
        opened(views).samples("test", ("rgb",))


def test_a_file_of_another_domain_is_none_of_its_folder(views: Path) -> None:
    shutil.copy(
        views / "normal" / "ihlen" / "point_0_view_0_domain_normal.png",
        views / "rgb" / "ihlen" / "point_7_view_7_domain_normal.png",
    )
    wanted = [f"ihlen/point_{view}_view_{view % 3}" for view in range(4)] + ["uvalda/point_0_view_0"]
    assert opened(views).samples("test", ("rgb",)).names == tuple(wanted)


def test_folders_of_omnidata_are_read(tmp_path: Path) -> None:
    files = published.taskonomy({"allensville": 2}, domains=("rgb", "reshading"))
    root = published.write(tmp_path, {name.replace("/", "/taskonomy/", 1): files[name] for name in files})
    assert find_root(root, taskonomy.SPEC) == root
    samples = opened(root).samples("train", ("rgb", "reshading"))
    assert samples.names == ("allensville/point_0_view_0", "allensville/point_1_view_1")
    assert samples[1].paths["rgb"].is_file()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"tiny_val.csv": ["a/1/1"], "full_val.csv": ["a/1/1"]}, r"several tables for val: full_val.csv, tiny_val.csv"),
        (
            {"tiny_val.csv": ["a/1/1", "a/2/2"], "tiny_test.csv": ["a/2/2"]},
            r"1 images, such as a/point_2_view_2, .*val",
        ),
    ],
)
def test_tables_that_contradict_are_refused(views: Path, tables: dict[str, list[str]], message: str) -> None:
    for name, rows in tables.items():
        (views / name).write_bytes(published.split_table(rows))
    with pytest.raises(DataError, match=message):
        opened(views).samples("val", ("rgb",))


def test_a_table_without_its_columns_is_refused(views: Path) -> None:
    (views / "tiny_val.csv").write_text("building,camera\na,1\n")
    with pytest.raises(DataError, match=r"tiny_val.csv lacks the columns \['point', 'view'\], it has"):
        opened(views).samples("val", ("rgb",))


def test_imagenet_in_its_own_folders_has_its_classes(tmp_path: Path) -> None:
    files = {
        f"{split}/{label}/{name}": content
        for split, count in (("train", 3), ("val", 1))
        for label in published.CLASSES
        for name, content in published.imagenet_class(label, count=count).items()
    }
    root = find_root(published.write(tmp_path / "imagenet", files).parent, imagenet.SPEC)
    assert opened(root).class_names() == published.CLASSES
    assert opened(root).samples("train", ("rgb",)).suffixes == {"rgb": ".JPEG"}

"""What splits and modalities there are, and which of them must be there."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data.open import open_dataset
from multimae.data.spec import spec
from multimae.verify.check import verify
from tests.made import tiny_dataset
from tests.made.checks import ALL, check, seen
from tests.made.class_folders import checked, classes
from tests.made.damages import HEIGHT_WIDTH, save


def test_splits_without_images_are_named(root: Path) -> None:
    for path in root.glob("test/*/all/*"):
        path.unlink()
    assert {kind for kind, *_ in seen(check(root))} == {"unlistable"}
    shutil.rmtree(root / "test")
    (root / "test").mkdir()
    assert seen(check(root)) == {("empty_split", "test", "", "")}
    (root / "test").rmdir()
    found = check(root)
    assert seen(found) == {("missing_split", "test", "", "")}
    assert found.num("error") == 0


def test_a_modality_of_the_data_set_may_be_absent(root: Path) -> None:
    for split in ("train", "test"):
        shutil.rmtree(root / split / "semseg")
    found = check(root)
    assert seen(found) == {("missing_modality", "", "semseg", "")}
    assert found.num("error") == 0


def test_a_sample_that_only_the_table_of_its_split_knows_is_named(tmp_path: Path) -> None:
    described = replace(spec("taskonomy"), modalities=("rgb", "depth_zbuffer"))
    maps = {"rgb": tiny_dataset.maps()["rgb"], "depth_zbuffer": tiny_dataset.maps()["depth"]}
    for building, view in (("hall", 1), ("hall", 2), ("uvalda", 1)):
        for domain, array in maps.items():
            (tmp_path / domain / building).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / domain / building / f"point_0_view_{view}_domain_{domain}.png")
    for split, rows in (("train", "hall,0,1\nhall,0,2\nhall,0,3\n"), ("test", "uvalda,0,1\n")):
        (tmp_path / f"tiny_{split}.csv").write_text(f"building,point,view\n{rows}")
    found = verify(open_dataset(tmp_path, described), effort=ALL)
    assert seen(found) == {("missing_sample", "train", "", "hall/point_0_view_3")}
    assert {(count.split, count.files, count.decoded) for count in found.counts} == {("train", 2, 2), ("test", 1, 1)}
    Image.fromarray(np.full(HEIGHT_WIDTH, 65535, np.uint16)).save(
        tmp_path / "depth_zbuffer/hall/point_0_view_2_domain_depth_zbuffer.png"
    )
    save("depth_zbuffer/uvalda/point_0_view_1_domain_depth_zbuffer.png", 9)(tmp_path)
    added = seen(verify(open_dataset(tmp_path, described), effort=ALL)) - seen(found)
    assert {(kind, split) for kind, split, *_ in added} == {("no_depth", "train"), ("format", "test")}


def test_what_no_task_has_to_have_may_be_in_one_split(root: Path) -> None:
    for modality in ("mask_valid", "normal"):
        shutil.rmtree(root / "test" / modality)
    shutil.copytree(root / "train/depth", root / "train/pseudo_depth")
    found = check(root)
    assert found.findings == ()
    assert ("train", "pseudo_depth", 6) in {(count.split, count.modality, count.decoded) for count in found.counts}


def test_a_test_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path) / "nyuv2"
    for path in list(root.glob("*/*/all/*.png")):
        room = "kitchen" if path.stem == "0101" else "bedroom"
        (path.parents[1] / room).mkdir(exist_ok=True)
        path.rename(path.parents[1] / room / path.name)
    for folder in root.glob("*/*/all"):
        folder.rmdir()
    found = check(root)
    assert seen(found) == {("unknown_class", "test", "", "kitchen/0101")}
    assert found.findings[0].detail == "class 'kitchen'"


def test_classes_that_no_test_image_is_of_are_named(tmp_path: Path) -> None:
    classes(tmp_path, names=("daisy", "rose", "tulip"))
    shutil.rmtree(tmp_path / "test" / "rgb" / "rose")
    assert checked(tmp_path) == {("never_tested", ""): "1 of 3 classes: rose"}

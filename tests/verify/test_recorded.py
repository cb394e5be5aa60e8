"""Files are compared with the manifest of their preparation."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data import manifest as manifests
from tests.made import tiny_dataset
from tests.made.checks import check, record, seen
from tests.made.damages import HEIGHT_WIDTH


def test_files_are_compared_with_the_manifest(root: Path) -> None:
    record(root)
    assert check(root, hashes=True).findings == ()
    assert check(root, hashes=True).hashed == 45
    assert check(root).hashed == 0
    for modality in tiny_dataset.maps():
        (root / f"train/{modality}/all/0005.png").unlink()
    lost = {("lost", "train", name, f"train/{name}/all/0005.png") for name in tiny_dataset.maps()}
    Image.fromarray(np.full(HEIGHT_WIDTH, 2000, np.uint16)).save(root / "train/depth/all/0001.png")
    changed = ("changed", "train", "depth", "train/depth/all/0001.png")
    for modality in tiny_dataset.maps():
        shutil.copy(root / f"test/{modality}/all/0100.png", root / f"test/{modality}/all/0200.png")
    new = {("unrecorded", "test", name, f"test/{name}/all/0200.png") for name in tiny_dataset.maps()}
    assert seen(check(root)) == {*lost, changed, *new}


def test_a_change_that_keeps_the_size_shows_in_the_hashes_alone(root: Path) -> None:
    path = root / "train/depth/all/0001.png"
    path.write_bytes(path.read_bytes() + b"ab")
    record(root)
    path.write_bytes(path.read_bytes()[:-2] + b"ba")
    assert seen(check(root)) == set()
    found = check(root, hashes=True, workers=2)
    assert seen(found) == {("changed", "train", "depth", "train/depth/all/0001.png")}


def test_a_manifest_tells_of_its_preparation(root: Path) -> None:
    record(root, complete=False)
    assert [entry.detail for entry in check(root).findings] == ["the preparation has not reached its end"]
    record(root, complete=False, damaged={"0009": "0009.png: truncated"})
    assert seen(check(root)) == {("manifest", "", "", "0009")}
    (root / manifests.NAME).write_text("{}\n")
    assert seen(check(root)) == {("manifest", "", "", manifests.NAME)}

"""Codes and units that differ from those of the data set are named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data.labels import FIXED, label_code
from multimae.data.sets.nyuv2 import SPEC
from multimae.data.spec import spec
from multimae.verify.units import implausible_depth
from tests.made.checks import check, seen
from tests.made.damages import HEIGHT_WIDTH, save, write


def test_predicted_labels_are_cocos_classes_or_the_data_sets(root: Path) -> None:
    own, coco = (code.names() for code in (label_code("semseg", spec=SPEC), FIXED["pseudo_semseg"]))
    for split in ("train", "test"):
        shutil.copytree(root / split / "semseg", root / split / "pseudo_semseg")
    save("train/pseudo_semseg/all/0000.png", 132)(root)
    save("test/pseudo_semseg/all/0100.png", 0)(root)
    for classes in (own, coco):
        write("train/pseudo_semseg/manifest.json", json.dumps({"classes": classes}))(root)
        assert seen(check(root)) == set()
    write("train/pseudo_semseg/manifest.json", json.dumps({"classes": {"0": "person"}}))(root)
    save("test/pseudo_semseg/all/0100.png", 133)(root)
    found = check(root)
    assert seen(found) == {
        ("other_pseudo_classes", "train", "pseudo_semseg", ""),
        ("values", "test", "pseudo_semseg", "test/pseudo_semseg/all/0100.png"),
    }
    (values,) = (finding for finding in found.findings if finding.kind == "values")
    assert "values [133]; pseudo_semseg has labels 0 to 132, and 255 for unlabelled" in values.detail


@pytest.mark.parametrize(
    ("codes_per_mm", "unit"),
    [(6.5536, "1/6553.6 m"), (0.512, "1/512 m"), (0.1, "centimetres"), (0.001, "metres")],
)
def test_depth_in_another_unit_names_the_likely_one(root: Path, codes_per_mm: float, unit: str) -> None:
    # As a room has them: the mean of NYUv2.
    stored = np.full(HEIGHT_WIDTH, max(1, round(2700 * codes_per_mm)), np.uint16)
    for path in root.glob("*/depth/all/*.png"):
        Image.fromarray(stored).save(path)
    found = check(root)
    assert seen(found) == {("depth_unit", split, "depth", "") for split in ("train", "test")}
    assert all(f"the unit may be {unit}" in entry.detail for entry in found.findings)


def test_depth_without_a_unit_is_not_judged() -> None:
    assert implausible_depth([65000.0], described=spec("imagenet")) is None
    assert implausible_depth([], described=SPEC) is None
    assert implausible_depth([2772.0, 1500.0, 4000.0], described=SPEC) is None

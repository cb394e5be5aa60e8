"""Data sets' facts are complete, found by name and cheap to import."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from multimae.data.sets.nyuv2 import SPEC
from multimae.data.spec import distinct_palette, known_names, spec

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("MULTIMAE_SHARED", ROOT.parent / "shared"))


def test_spec_is_found_by_module_name() -> None:
    assert spec("nyuv2") is SPEC
    assert "nyuv2" in known_names()


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no data set 'nyu2'; did you mean nyuv2.*\(known: nyuv2, "):
        spec("nyu2")


@pytest.mark.parametrize("name", ["folder", "spec", "layout"])
def test_a_module_without_spec_is_no_data_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"no data set '{name}'"):
        spec(name)


def test_a_data_set_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import multimae.data.sets

    (tmp_path / "doll_house.py").write_text(
        "from dataclasses import replace\nfrom multimae.data.sets.nyuv2 import SPEC as NYU\n"
        "SPEC = replace(NYU, name='doll_house')\n"
    )
    monkeypatch.setattr(multimae.data.sets, "__path__", [*multimae.data.sets.__path__, str(tmp_path)])
    assert spec("doll_house").name == "doll_house"
    del sys.modules["multimae.data.sets.doll_house"]


def test_facts_are_checked() -> None:
    with pytest.raises(ValueError, match="40 classes but 39 palette colours"):
        replace(SPEC, palette=SPEC.palette[1:])
    with pytest.raises(ValueError, match=r"unknown modalities \['dpeth'\]"):
        replace(SPEC, modalities=("rgb", "dpeth"))
    with pytest.raises(ValueError, match=r"maps labels to \[41\], wanted 0 \(unlabelled\) or a class, 1 to 40"):
        replace(SPEC, label_map=(0, 40, 41))


def test_nyuv2_classes_are_the_data_sets_own() -> None:
    path = SHARED / "data" / "nyuv2" / "classes.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    published = json.loads(path.read_text())
    assert list(SPEC.classes) == published["classes40"]
    assert list(spec("nyuv2_13").classes) == published["classes13"]
    assert list(spec("nyuv2_13").label_map) == [0, *published["nyu40_to_13"]]


def test_ade20k_classes_are_the_data_sets_own() -> None:
    path = SHARED / "data" / "ade20k_samples" / "objectInfo150.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(newline="") as file:
        # Words and synonyms are both set apart by a semicolon there.
        published = [row["Name"].replace(";", " ") for row in csv.DictReader(file)]
    assert len(published) == len(spec("ade20k").classes)
    for name, names in zip(spec("ade20k").classes, published, strict=True):
        assert f"{names} ".startswith(f"{name} ")


def test_rooms_can_stand_in_with_13_classes() -> None:
    fine, coarse = spec("rooms"), spec("rooms_13")
    assert coarse.classes == spec("nyuv2_13").classes
    assert set(coarse.label_map) == set(range(14))
    named = {name: coarse.classes[code - 1] for name, code in zip(fine.classes, coarse.label_map[1:], strict=True)}
    assert (named["floor mat"], named["curtain"], named["lamp"]) == ("floor", "window", "objects")


def test_nyuv2_13_has_a_class_for_each_of_the_40() -> None:
    assert spec("nyuv2_13").folder_names == ("nyuv2",)
    assert set(spec("nyuv2_13").label_map) == set(range(14))
    assert len(spec("nyuv2_13").label_map) == 41


def test_a_data_set_may_have_no_classes() -> None:
    assert spec("taskonomy").num_classes == 0
    assert spec("taskonomy").palette == ()


def test_palette_colours_differ() -> None:
    assert len(set(distinct_palette(150))) == 150


def test_driver_modules_are_free_of_torch() -> None:
    code = (
        "import sys, multimae.data.layout, multimae.data.spec as s; s.spec('nyuv2'); "
        "print([m for m in ('torch', 'torchvision', 'mmengine', 'numpy', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"

"""Data sets' facts are complete, found by name and cheap to import."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from multimae.data.nyuv2 import SPEC
from multimae.data.spec import distinct_palette, known_names, spec

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MULTIMAE_SHARED", ROOT.parent / "shared"))


def test_spec_is_found_by_module_name() -> None:
    assert spec("nyuv2") is SPEC
    assert "nyuv2" in known_names()


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'nyu2'; nearest: nyuv2, .*; known: .*nyuv2"):
        spec("nyu2")


@pytest.mark.parametrize("name", ["folder", "spec", "layout"])
def test_a_module_without_spec_is_no_data_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown data set '{name}'"):
        spec(name)


def test_a_data_set_is_added_by_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import multimae.data

    (tmp_path / "doll_house.py").write_text(
        "from dataclasses import replace\nfrom multimae.data.nyuv2 import SPEC as NYU\n"
        "SPEC = replace(NYU, name='doll_house')\n"
    )
    monkeypatch.setattr(multimae.data, "__path__", [*multimae.data.__path__, str(tmp_path)])
    assert spec("doll_house").name == "doll_house"
    del sys.modules["multimae.data.doll_house"]


def test_facts_are_checked() -> None:
    with pytest.raises(ValueError, match="40 classes but 39 palette colours"):
        replace(SPEC, palette=SPEC.palette[1:])
    with pytest.raises(ValueError, match=r"unknown modalities \['dpeth'\]"):
        replace(SPEC, modalities=("rgb", "dpeth"))


def test_nyuv2_classes_are_the_data_sets_own() -> None:
    path = SHARED / "data" / "nyuv2" / "classes.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert list(SPEC.classes) == json.loads(path.read_text())["classes40"]


def test_palette_colours_differ() -> None:
    assert len(set(distinct_palette(150))) == 150


def test_driver_modules_are_free_of_torch() -> None:
    code = (
        "import sys, multimae.data.layout, multimae.data.spec as s; s.spec('nyuv2'); "
        "print([m for m in ('torch', 'torchvision', 'mmengine', 'numpy', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"

"""The digest covers the code a run imports and nothing else."""

from pathlib import Path

import pytest

from experiments.plan import fingerprint
from experiments.plan.fingerprint import code_hashes, digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of four files: train imports layers, nobody imports lonely."""
    for name, text in {
        "__init__": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import multimae.lonely\n",
        "train": "from multimae import layers\nimport torch\n",
        "layers": "def f():\n    import multimae.late\n",
        "late": "x = 1\n",
        "lonely": "y = 2\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    for cached in (fingerprint._path, fingerprint._package_root, fingerprint._imported):
        cached.cache_clear()
    monkeypatch.setattr(fingerprint, "_package_root", lambda: tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def forget() -> object:
    yield
    fingerprint._path.cache_clear()


def test_imports_are_followed_even_inside_functions(package: Path) -> None:
    assert set(code_hashes(["multimae.train"])) == {"multimae", "multimae.train", "multimae.layers", "multimae.late"}


def test_a_file_nobody_imports_changes_nothing_and_an_imported_one_does(package: Path) -> None:
    before = digest(code_hashes(["multimae.train"]))
    (package / "lonely.py").write_text("# a comment\ny = 2\n")
    assert digest(code_hashes(["multimae.train"])) == before
    (package / "late.py").write_text("x = 2\n")
    assert digest(code_hashes(["multimae.train"])) != before


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})

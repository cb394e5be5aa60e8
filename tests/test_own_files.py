"""Python files that a user wrote, loaded by their path."""

import sys
from pathlib import Path

import pytest

from multimae.own_files import load_file


def test_loading_a_file_leaves_the_path_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a suite in the checkout's own folder, too, which comes first on the path of every command."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "beside.py").write_text("ANSWER = 42")
    (tmp_path / "mine.py").write_text("from beside import ANSWER")
    before = list(sys.path)
    assert load_file(tmp_path / "mine.py", kind="suite").ANSWER == 42
    assert sys.path == before

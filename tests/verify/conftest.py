"""A small data set without a fault, for each test of this folder."""

from pathlib import Path

import pytest

from tests.made import tiny_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"

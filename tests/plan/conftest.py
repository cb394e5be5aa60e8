"""What refused commands are given: a small data set, and a runs folder that they must leave as it was."""

from pathlib import Path

import pytest

from tests.made.tinydata import write_frames


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=5, num_test=2)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with what an earlier sweep has left there."""
    folder = tmp_path / "runs"
    (folder / "brief").mkdir(parents=True)
    (folder / "brief" / "sweep.json").write_text('{"suite": "brief", "keys": []}\n')
    return folder

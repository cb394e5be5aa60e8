"""The shipped rooms, unpacked once for all tests of this folder."""

from pathlib import Path

import pytest

from multimae.rooms import archive


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive.unpack(tmp_path_factory.mktemp("cache"))

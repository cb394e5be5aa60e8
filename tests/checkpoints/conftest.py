"""The mirror and the cache that tests of downloads share."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.made.weights_mirror import Mirror, serve


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with serve() as served:
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", served.url + "/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of the first request of a process
        yield served


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"

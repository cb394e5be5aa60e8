"""The shipped archive is unpacked once, whole or not at all, and packed again to the same bytes."""

import lzma
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multimae.data.sets.rooms import COMPUTED, DOMAINS
from multimae.rooms import archive
from multimae.rooms.archive import ARCHIVE, ARCHIVE_FRAMES
from multimae.rooms.render import pack


@pytest.fixture
def copied_maps(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what is computed from the folder that is there, where computing them once more would show nothing."""

    def copy(target: Path) -> None:
        for folder in (Path(split) / domain for split in ARCHIVE_FRAMES for domain in COMPUTED):
            shutil.copytree(root / folder, target / folder)

    monkeypatch.setattr(archive, "_add_computed", copy)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_unpacking_twice_gives_the_same_folder_at_once(root: Path) -> None:
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert archive.unpack(root.parent) == root
        took.append(time.perf_counter() - start)
    assert min(took) < 0.02


@pytest.mark.parametrize("modality", ["depth", DOMAINS[0]])
@pytest.mark.usefixtures("copied_maps")
def test_unpacking_mends_a_folder_that_lost_a_file_and_clears_leftovers(
    root: Path, tmp_path: Path, modality: str
) -> None:
    shutil.copytree(root, tmp_path / root.name)
    lost = tmp_path / root.name / "test" / modality / "all/00003.png"
    lost.unlink()
    old, recent = tmp_path / ".rooms-old", tmp_path / ".rooms-recent"
    old.mkdir()
    recent.mkdir()
    os.utime(old, (0, 0))
    assert archive.unpack(tmp_path) == tmp_path / root.name
    assert lost.is_file()
    assert not old.exists()
    assert recent.exists(), "another process may be at work there"


@pytest.mark.usefixtures("copied_maps")
def test_a_folder_of_older_domains_is_left_to_those_who_read_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root, tmp_path / root.name)
    before = contents(tmp_path / root.name)
    monkeypatch.setattr(archive, "COMPUTED_VERSION", archive.COMPUTED_VERSION + 1)
    assert archive.unpack(tmp_path).name != root.name
    assert contents(tmp_path / root.name) == before


@pytest.mark.usefixtures("copied_maps")
def test_two_at_once_unpack_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(archive.unpack, [tmp_path, tmp_path]))
    assert found[0] == found[1]
    assert [path.name for path in tmp_path.iterdir()] == [found[0].name]


@pytest.mark.parametrize("step", ["_extract", "_add_computed"])
def test_a_process_killed_while_unpacking_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die_half_way(target: Path) -> None:
        (target / "train/rgb/more").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archive, step, die_half_way)
        with pytest.raises(KeyboardInterrupt):
            archive.unpack(tmp_path)
    assert not list(tmp_path.glob("rooms-*"))


def test_a_damaged_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "rooms.tar.xz"
    damaged.write_bytes(ARCHIVE.read_bytes()[:-1])
    monkeypatch.setattr(archive, "ARCHIVE", damaged)
    with pytest.raises(OSError, match=r"SHA-256 .* wanted"):
        archive.unpack(tmp_path / "cache")


def test_packing_what_was_unpacked_gives_the_shipped_archive(root: Path) -> None:
    pack.check(root)
    assert pack.tar(root) == lzma.decompress(ARCHIVE.read_bytes())


def test_the_module_needs_neither_torch_nor_mitsuba() -> None:
    code = "import sys, multimae.data.sets.rooms; sys.exit(bool({'torch', 'mitsuba', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Files and folders that a user has to repair are said in one line, by every command."""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import free, label, search, sweep
from experiments.track import command as track
from multimae import cli
from tests.made.commands import BRIEF, ROOT, done, of_search, of_sweep, tree


@pytest.mark.parametrize("text", ["[a\n", "x = 1\n", b"\xff\xfe", "[a]\npartition = 3\n", "[a]\npartitoin = 'x'\n"])
def test_a_clusters_file_that_cannot_be_read_changes_nothing(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | bytes
) -> None:
    before = tree(runs)
    file = tmp_path / "clusters.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    for main, words in ((sweep.main, of_sweep(runs, data)), (search.main, of_search(runs, data))):
        assert done(main, *words, "--cluster-file", file) == 2
        assert str(file) in capsys.readouterr().err
    assert tree(runs) == before


DOORS = {
    "sweep": "sweep --suite {brief} --data-root {data} --runs-dir {runs} --executor inline",
    "search": "search --suite {brief} --task nyuv2-semseg --checkpoint scratch --data-root {data} --runs-dir {runs}",
    "gc": "gc --runs-dir {runs}",
    "track": "track sync --runs-dir {runs}",
    "report": "report --suite brief --runs-dir {runs}",
    "best": "search best tried --runs-dir {runs}",
    "demo": "demo --runs-dir {runs}",
}


@pytest.mark.parametrize("door", DOORS)
def test_a_runs_folder_that_is_a_file_is_named(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], door: str
) -> None:
    runs = tmp_path / "runs"
    runs.write_text("a file")
    words = DOORS[door].format(brief=BRIEF, data=data, runs=runs).split()
    assert done(cli.main, *words) in (2, 3)
    err = capsys.readouterr().err
    assert str(runs) in err
    assert "Traceback" not in err
    assert runs.read_text() == "a file"


def obey_modes() -> None:
    """Let root obey the modes of files, as any other user does."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, for what is executed next


@pytest.mark.parametrize(
    ("mode", "doors"),
    [(0o555, ("sweep", "search", "demo")), (0o000, tuple(DOORS))],
    ids=["read-only", "unreadable"],
)
def test_a_runs_folder_that_the_user_may_not_use_is_named(
    tmp_path: Path, data: Path, mode: int, doors: tuple[str, ...]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(mode)
    try:
        for door in doors:
            words = DOORS[door].format(brief=BRIEF, data=data, runs=runs).split()
            command = [sys.executable, "-m", "multimae.cli", *words]
            left = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, preexec_fn=obey_modes)
            assert left.returncode in (2, 3), (door, left.stderr)
            assert str(runs) in left.stderr, door
            assert "Traceback" not in left.stderr
    finally:
        runs.chmod(0o755)
    assert not list(runs.iterdir())


def test_no_home_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_home(path: str) -> str:
        return path  # what os.path does where there is no home

    for name in ("HOME", "MULTIMAE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", no_home)
    assert done(sweep.main, "--suite", "smoke", "--runs-dir", tmp_path / "runs", "--dry-run") == 3
    assert "set MULTIMAE_CACHE to a folder" in capsys.readouterr().err
    assert done(cli.main, "weights", "ls") == 3
    assert "set MULTIMAE_CACHE to a folder" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "file" / "cache"))
    assert done(sweep.main, "--suite", "smoke", "--runs-dir", tmp_path / "runs", "--dry-run") == 3
    err = capsys.readouterr().err
    assert f"{tmp_path / 'file' / 'cache'}" in err
    assert "Errno" not in err


def test_a_full_disk_is_one_line(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("multimae.record.files.os.fsync", full)
    runs = tmp_path / "runs"
    assert done(sweep.main, *of_sweep(runs, data)) == 3
    assert f"sweep: {runs / 'brief' / 'sweep.json'}: No space left on device" in capsys.readouterr().err


def test_folders_that_are_not_there_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for main, words in ((free.main, ()), (track.main, ("sync",))):
        assert done(main, *words, "--runs-dir", tmp_path / "rnus") == 3
        assert "there is no runs folder" in capsys.readouterr().err


def test_labelling_is_refused_before_it_makes_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label.add_arguments  # the door of `multimae data pseudo-label`
    (tmp_path / "rgb").mkdir()
    words = ("pseudo-label", "--rgb", tmp_path / "rgb", "--out", tmp_path / "out", "--shards", "2")
    assert done(cli.main, "data", *words) == 2
    assert "no network is named" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

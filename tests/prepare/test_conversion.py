"""Preparing from published files: once, whole or not at all, continued after a kill, a full disk, damaged files."""

import argparse
import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from multimae.data.manifest import NAME, read_manifest
from multimae.data.sample import DataError
from multimae.prepare import conversion
from multimae.prepare.command import add_options, convert
from multimae.prepare.conversion import bytes_to_place, place, prepare
from tests.made.published_files import Squares


def files(root: Path) -> dict[str, bytes]:
    """Return the prepared files below `root`, without what preparing keeps for itself."""
    paths = (path for path in root.rglob("*") if path.is_file() and path.name not in (NAME, conversion.LOCK))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def run(source: Squares, *, out: Path, workers: int = 1) -> int:
    return convert(source, name="squares", arguments=argparse.Namespace(out=out, workers=workers))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_is_there_and_in_the_manifest(tmp_path: Path, workers: int) -> None:
    report = prepare(Squares(count=20), out=tmp_path, workers=workers)
    assert (report.converted, report.kept, report.damaged) == (20, 0, {})
    assert len(files(tmp_path)) == 40
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.complete
    assert list(manifest.files) == sorted(files(tmp_path))
    for path, content in files(tmp_path).items():
        record = manifest.files[path]
        assert (record.num_bytes, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    image, note = manifest.files["train/rgb/all/007.png"], manifest.files["train/note/all/007.txt"]
    assert (image.split, image.modality, image.shape, image.dtype) == ("train", "rgb", (3, 4), "uint8")
    assert (note.modality, note.shape, note.dtype) == ("note", (), "")
    assert manifest.provenance.units == {"rgb": "grey"}
    assert not (tmp_path / conversion.SCRATCH).exists()


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"), [("RGB", (3, 4, 3), "uint8"), ("I;16", (3, 4), "uint16"), ("P", (3, 4), "uint8")]
)
def test_a_record_says_what_pixels_there_are(tmp_path: Path, mode: str, shape: tuple[int, ...], dtype: str) -> None:
    Image.new(mode, (4, 3)).save(tmp_path / "a.png")
    record = conversion._record(tmp_path, "a.png")
    assert (record.shape, record.dtype) == (shape, dtype)


def test_a_second_run_does_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Squares(), out=tmp_path) == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()
    assert run(Squares(), out=tmp_path) == 0
    assert capsys.readouterr().out == f"squares: nothing to do, all 6 items are in {tmp_path}\n"
    lock = tmp_path / conversion.LOCK
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path != lock} == {
        path: when for path, when in before.items() if path != lock
    }


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_what_is_lost_or_cut_is_made_again_alone(tmp_path: Path, damage: str) -> None:
    prepare(Squares(), out=tmp_path, workers=1)
    whole, path = files(tmp_path), tmp_path / "train/rgb/all/002.png"
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:20])
    report = prepare(Squares(), out=tmp_path, workers=1)
    assert (report.converted, report.kept) == (1, 5)
    assert files(tmp_path) == whole


def test_more_items_are_added_to_those_there(tmp_path: Path) -> None:
    prepare(Squares(count=4), out=tmp_path, workers=1)
    report = prepare(Squares(count=7), out=tmp_path, workers=1)
    assert (report.converted, report.kept) == (3, 4)
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert len(manifest.files) == 14


def test_damaged_items_are_named_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Squares(count=30, damaged=tuple(range(25))), out=tmp_path) == 3
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"squares: 5 items converted into {tmp_path}, 0 were there"
    assert told[1] == "squares: 25 of 30 items are damaged; restore their files and run again"
    assert told[2] == "  000: square 0 is round"
    assert told[-1] == "  ... and 5 more, all in the head of the manifest"
    assert len(told) == 23
    assert sorted(files(tmp_path)) == [
        f"train/{kind}/all/{index:03d}.{suffix}"
        for kind, suffix in (("note", "txt"), ("rgb", "png"))
        for index in range(25, 30)
    ]
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert not manifest.complete
    assert len(manifest.damaged) == 25
    assert run(Squares(count=30), out=tmp_path) == 0
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.complete
    assert not manifest.damaged


def test_too_small_a_disk_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40 - 2**30, 2**30))
    with pytest.raises(DataError, match=r"has 1\.00 GiB free, the 6 items .* take about 1\.50 GiB; make room"):
        prepare(Squares(bytes_estimate=2**28), out=tmp_path / "out", workers=1)
    assert files(tmp_path) == {}
    assert read_manifest(tmp_path / "out") is None
    assert prepare(Squares(count=4, bytes_estimate=2**28), out=tmp_path / "out", workers=1).converted == 4
    # What is there takes no more room.
    assert prepare(Squares(bytes_estimate=2**28), out=tmp_path / "out", workers=1).converted == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, workers: int) -> None:
    with pytest.raises(DataError, match=r"is full .*No space left.* same command goes on"):
        prepare(Squares(count=12, full_at=5), out=tmp_path, workers=workers)
    there = files(tmp_path)
    assert "train/rgb/all/005.png" not in there
    assert not (tmp_path / conversion.SCRATCH).exists()
    report = prepare(Squares(count=12), out=tmp_path, workers=workers)
    assert report.converted + report.kept == 12
    if workers == 1:
        assert report.kept == 3  # a batch at a time
    assert there.items() <= files(tmp_path).items()


def test_the_manifest_may_fill_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conversion.manifests, "append", full)
        with pytest.raises(DataError, match="is full"):
            prepare(Squares(), out=tmp_path, workers=1)
    assert prepare(Squares(), out=tmp_path, workers=1).total == 6


SCRIPT = """
import argparse, sys
from pathlib import Path
from tests.made.published_files import Squares
from multimae.prepare.command import convert
if __name__ == "__main__":
    arguments = argparse.Namespace(out=Path(sys.argv[1]), workers=2)
    sys.exit(convert(Squares(count=60, delay_s=0.05), name="squares", arguments=arguments))
"""


def num_recorded(out: Path) -> int:
    manifest = read_manifest(out)
    return 0 if manifest is None else len(manifest.files)


@pytest.fixture
def running(tmp_path: Path) -> "subprocess.Popen[str]":
    """Start a preparation of 60 squares in two workers and wait until some are recorded."""
    script = tmp_path / "prepare_squares.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(script), str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while num_recorded(out) < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def test_a_killed_preparation_goes_on(running: "subprocess.Popen[str]", tmp_path: Path) -> None:
    running.kill()
    running.communicate(timeout=30)  # workers left over would keep its output open
    out = tmp_path / "out"
    manifest = read_manifest(out)
    assert manifest is not None
    assert not manifest.complete
    recorded = {path: (out / path).stat().st_ino for path in manifest.files}
    assert 0 < len(recorded) < 120
    report = prepare(Squares(count=60), out=out, workers=1)
    assert report.kept == len(recorded) // 2
    assert {path: (out / path).stat().st_ino for path in recorded} == recorded
    prepare(Squares(count=60), out=tmp_path / "at once", workers=1)
    assert files(out) == files(tmp_path / "at once")


def test_workers_end_with_a_killed_preparation(running: "subprocess.Popen[str]", tmp_path: Path) -> None:
    running.kill()
    running.communicate(timeout=30)  # workers left over would keep its output open
    time.sleep(1)
    there = sorted((tmp_path / "out").rglob("*"))
    time.sleep(0.5)
    assert sorted((tmp_path / "out").rglob("*")) == there
    assert len(there) < 120


def test_ctrl_c_ends_with_130_and_goes_on(running: "subprocess.Popen[str]", tmp_path: Path) -> None:
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    told, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert (
        told
        == f"squares: interrupted; what is converted stays in {tmp_path / 'out'}, the same command goes on from there\n"
    )
    report = prepare(Squares(count=60), out=tmp_path / "out", workers=1)
    assert 0 < report.kept < 60
    assert report.total == 60
    assert not (tmp_path / "out" / conversion.SCRATCH).exists()


def test_a_line_torn_by_a_kill_does_not_count(tmp_path: Path) -> None:
    prepare(Squares(count=3), out=tmp_path, workers=1)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-30])
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert len(manifest.files) == 5
    assert prepare(Squares(count=4), out=tmp_path, workers=1).converted == 2
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert len(manifest.files) == 8


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    prepare(Squares(count=1), out=tmp_path, workers=1)
    (tmp_path / NAME).write_text('{"schema": 99}\n')
    with pytest.raises(DataError, match=rf"{NAME} is no manifest .*schema 99"):
        read_manifest(tmp_path)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    prepare(Squares(), out=tmp_path, workers=1)
    with pytest.raises(DataError, match=r"other settings: grey is 7, wanted 8\. Keep to those, or choose"):
        prepare(Squares(settings={"grey": 8}), out=tmp_path, workers=1)


def test_files_of_somebody_else_are_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "train/note/all/003.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(DataError, match=r"003\.txt was not written by this command"):
        prepare(Squares(), out=tmp_path, workers=1)
    assert theirs.read_text() == "mine"


def test_two_items_for_one_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = Squares(count=2).items()
    monkeypatch.setattr(Squares, "items", lambda self: [*items, items[0]])
    with pytest.raises(DataError, match="two files of nowhere would become"):
        prepare(Squares(), out=tmp_path, workers=1)


def test_two_preparations_of_one_folder_are_refused(tmp_path: Path) -> None:
    with (tmp_path / conversion.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(DataError, match="another process is preparing"):
            prepare(Squares(), out=tmp_path, workers=1)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match=r"cannot write .*out: File exists"):
        prepare(Squares(), out=tmp_path / "out", workers=1)


def test_place_links_or_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_text("kept")
    (tmp_path / "symlink").symlink_to(source)
    place(tmp_path / "symlink", tmp_path / "linked")
    assert (tmp_path / "linked").stat().st_ino == source.stat().st_ino
    assert not (tmp_path / "linked").is_symlink()
    assert bytes_to_place(source, out=tmp_path / "not" / "yet") == 0

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    place(source, tmp_path / "linked")
    assert (tmp_path / "linked").stat().st_ino != source.stat().st_ino
    assert (tmp_path / "linked").read_text() == "kept"


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_a_number_of_workers_is_wanted(workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, name="squares", published="squares")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--from", "a", f"--workers={workers}"])
    assert ended.value.code == 2
    assert f"{workers!r}, wanted a whole number from 1" in capsys.readouterr().err


def test_the_manifest_is_lines_of_json(tmp_path: Path) -> None:
    prepare(Squares(count=1), out=tmp_path, workers=1)
    header, *lines = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert (header["schema"], header["dataset"], header["complete"]) == (1, "squares", True)
    assert header["versions"]["numpy"]
    assert [line["path"] for line in lines] == ["train/note/all/000.txt", "train/rgb/all/000.png"]

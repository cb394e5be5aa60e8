"""Downloads from a server that misbehaves in every way it can: what has the file's name is the file published."""

import hashlib
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from multimae.checkpoints.catalogue import cached_path, fetch, published
from multimae.checkpoints.download import WAITS_S, DownloadError, DownloadListener
from tests.made.weights_mirror import BODY, HALF, TINY, Fault, Mirror, held


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def refuse_to_wait(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for an error that does not pass")


def test_a_download_is_verified_and_the_second_needs_no_server(mirror: Mirror, cache: Path) -> None:
    lines: list[str] = []
    progress: list[tuple[int, int | None]] = []
    report = DownloadListener(say=lines.append, progress=lambda held, total: progress.append((held, total)))
    path = fetch(TINY, cache=cache, report=report)
    assert path == cache / "checkpoints" / TINY.file
    assert path.read_bytes() == BODY
    assert held(cache) == [TINY.file]
    assert (mirror.paths, mirror.ranges) == ([f"/mirror/{TINY.file}"], [None])
    assert (progress[0], progress[-1]) == ((0, len(BODY)), (len(BODY), len(BODY)))
    assert fetch(TINY, cache=cache, report=report) == path
    assert lines == [f"{TINY.file} is there already and verified"]
    assert len(mirror.ranges) == 1


def test_a_connection_that_is_cut_goes_on_from_the_byte_it_reached(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["cut"]
    waits: list[float] = []
    path = fetch(TINY, cache=cache, sleep=waits.append)
    assert path.read_bytes() == BODY
    assert mirror.ranges == [None, f"bytes={HALF}-"]
    assert waits == [WAITS_S[0]]


def test_a_second_call_goes_on_where_the_first_gave_up(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["cut", "silent", "silent", "silent", "silent"]
    waits: list[float] = []
    with pytest.raises(DownloadError, match=r"tried 5 times; what has come is kept"):
        fetch(TINY, cache=cache, sleep=waits.append)
    assert waits == list(WAITS_S)
    assert held(cache) == [f"{TINY.file}.part"]
    assert fetch(TINY, cache=cache, sleep=refuse_to_wait).read_bytes() == BODY
    assert mirror.ranges == [None, *[f"bytes={HALF}-"] * 5]
    assert held(cache) == [TINY.file]


@pytest.mark.parametrize("fault", ["ignore_range", "wrong_range"])
def test_a_server_that_answers_with_other_bytes_than_asked_for_starts_anew(
    mirror: Mirror, cache: Path, fault: Fault
) -> None:
    mirror.faults = ["cut", fault]
    assert fetch(TINY, cache=cache, sleep=lambda seconds: None).read_bytes() == BODY
    assert mirror.ranges == [None, f"bytes={HALF}-"] + ([None] if fault == "wrong_range" else [])


def test_a_range_survives_a_redirect(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["cut", "redirect"]
    assert fetch(TINY, cache=cache, sleep=lambda seconds: None).read_bytes() == BODY
    assert mirror.paths[1:] == [f"/mirror/{TINY.file}", f"/mirror/elsewhere/{TINY.file}"]
    assert mirror.ranges[1:] == [f"bytes={HALF}-"] * 2


def test_a_body_of_untold_length_is_read_to_its_end(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["chunked"]
    assert fetch(TINY, cache=cache, sleep=refuse_to_wait).read_bytes() == BODY


def test_a_busy_server_is_asked_again(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["busy", "busy"]
    waits: list[float] = []
    lines: list[str] = []
    assert fetch(TINY, cache=cache, sleep=waits.append, report=DownloadListener(say=lines.append)).read_bytes() == BODY
    assert waits == list(WAITS_S[:2])
    assert lines[0] == f"{mirror.url}/{TINY.file} answered 503 Service Unavailable; trying again in 1 s"


@pytest.mark.parametrize("body", [BODY[:-1] + b"!", BODY[:HALF], b"<html>log in</html>"])
def test_other_bytes_than_the_published_ones_never_get_the_files_name(mirror: Mirror, cache: Path, body: bytes) -> None:
    mirror.body = body
    with pytest.raises(DownloadError) as raised:
        fetch(TINY, cache=cache, sleep=refuse_to_wait)
    assert f"gave {len(body)} bytes with SHA-256 {hashlib.sha256(body).hexdigest()}" in str(raised.value)
    assert f"begins with {TINY.sha256_prefix}" in str(raised.value)
    assert held(cache) == []
    mirror.body = BODY
    assert fetch(TINY, cache=cache).read_bytes() == BODY
    assert mirror.ranges == [None, None]


def test_a_file_that_changes_its_length_on_the_way_is_refused_and_then_taken_whole(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["cut", "silent", "silent", "silent", "silent"]
    mirror.body = BODY + b"longer" * 1000
    with pytest.raises(DownloadError):
        fetch(TINY, cache=cache, sleep=lambda seconds: None)
    mirror.body = BODY[:-1]
    with pytest.raises(DownloadError, match="wanted one that begins"):
        fetch(TINY, cache=cache, sleep=lambda seconds: None)
    mirror.body = BODY
    assert fetch(TINY, cache=cache).read_bytes() == BODY


def test_what_is_left_of_an_earlier_download_is_used_for_what_it_is(mirror: Mirror, cache: Path) -> None:
    path = cached_path(TINY, cache=cache)
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(BODY)  # killed before the rename
    assert fetch(TINY, cache=cache).read_bytes() == BODY
    assert mirror.ranges == []
    path.unlink()
    part_of(path).write_bytes(BODY + b"too long")
    assert fetch(TINY, cache=cache, sleep=lambda seconds: None).read_bytes() == BODY
    assert mirror.ranges == [f"bytes={len(BODY) + 8}-", None]
    assert held(cache) == [TINY.file]


def test_a_damaged_file_in_the_cache_is_set_aside(mirror: Mirror, cache: Path) -> None:
    path = cached_path(TINY, cache=cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    lines: list[str] = []
    assert fetch(TINY, cache=cache, report=DownloadListener(say=lines.append)).read_bytes() == BODY
    assert lines == [f"{path} is not the file wanted; it is now {path.name}.rejected"]
    assert (path.parent / f"{path.name}.rejected").read_bytes() == b"damaged"


def together(*targets: Callable[[], object]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_several_at_once_download_once(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["held"]
    lines: list[str] = []
    paths: list[Path] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 4:
            mirror.go.set()

    together(*[lambda: paths.append(fetch(TINY, cache=cache, report=DownloadListener(say=say)))] * 5)
    assert paths == [cached_path(TINY, cache=cache)] * 5
    assert mirror.ranges == [None]
    assert set(lines) == {"another process is downloading this file; waiting for it"}
    assert held(cache) == [TINY.file]


def test_one_who_waits_goes_on_from_what_the_other_left(mirror: Mirror, cache: Path) -> None:
    mirror.faults = ["cut"]
    paths: list[Path] = []

    def give_up(seconds: float) -> None:
        mirror.arrived.set()
        mirror.go.wait(20)
        raise KeyboardInterrupt

    def first() -> None:
        with pytest.raises(KeyboardInterrupt):
            fetch(TINY, cache=cache, sleep=give_up)

    def second() -> None:
        mirror.arrived.wait(20)
        paths.append(fetch(TINY, cache=cache, report=DownloadListener(say=lambda line: mirror.go.set())))

    together(first, second)
    assert paths[0].read_bytes() == BODY
    assert mirror.ranges == [None, f"bytes={HALF}-"]


def test_one_who_waits_starts_anew_after_the_other_removed_its_file(mirror: Mirror, cache: Path) -> None:
    mirror.faults, mirror.body = ["held"], b"tampered"
    paths: list[Path] = []

    def first() -> None:
        with pytest.raises(DownloadError, match="wanted one that begins"):
            fetch(TINY, cache=cache)

    def restore(line: str) -> None:
        mirror.body = BODY
        mirror.go.set()

    def second() -> None:
        mirror.arrived.wait(20)
        paths.append(fetch(TINY, cache=cache, report=DownloadListener(say=restore)))

    together(first, second)
    assert paths[0].read_bytes() == BODY
    assert held(cache) == [TINY.file]


def test_a_disk_without_room_is_found_before_the_first_byte(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 100, 1, 1, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: full)
    with pytest.raises(DownloadError, match=r"0\.0 MB are to come, the disk of .* has 0\.0 MB free"):
        fetch(TINY, cache=cache, sleep=refuse_to_wait)
    assert held(cache) == []


def test_a_disk_that_takes_no_more_is_no_error_of_the_network(mirror: Mirror, cache: Path) -> None:
    mirror.body = bytes(3 << 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DownloadError, match=r"cannot write .*: File too large; .* by hand"):
            fetch(TINY, cache=cache, sleep=refuse_to_wait)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert held(cache) == [f"{TINY.file}.part"]


def test_a_read_only_cache_serves_what_it_holds(mirror: Mirror, cache: Path) -> None:
    folder = fetch(TINY, cache=cache).parent
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user writes anywhere")
    assert fetch(TINY, cache=cache).read_bytes() == BODY
    with pytest.raises(DownloadError, match="Permission denied"):
        fetch(published("mae-b-1600e"), cache=cache)


def test_proxies_are_those_of_the_environment(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", mirror.url.removesuffix("/mirror"))
    monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", "http://weights.invalid/mirror")
    assert fetch(TINY, cache=cache).read_bytes() == BODY
    assert mirror.paths == [f"http://weights.invalid/mirror/{TINY.file}"]

"""The published checkpoints: the catalogue, and downloads from a server that misbehaves in every way it can."""

import hashlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from multimae import cli
from multimae.cache import cache_dir
from multimae.checkpoints.catalogue import CATALOGUE, PublishedCheckpoint, cached_path, fetch, published
from multimae.checkpoints.download import WAITS_S, DownloadError, Report
from multimae.tables.modalities import MODALITIES

BODY = bytes(range(256)) * 40
HALF = len(BODY) // 2

Fault = Literal["none", "cut", "silent", "ignore_range", "wrong_range", "busy", "redirect", "held", "chunked"]


def checkpoint_of(body: bytes) -> PublishedCheckpoint:
    return PublishedCheckpoint(
        name="tiny",
        title="made by a test",
        file=f"tiny_rgb+-depth-{hashlib.sha256(body).hexdigest()[:8]}.pth",
        format="multivit",
        modalities=("rgb",),
        epochs=1,
    )


TINY = checkpoint_of(BODY)


@dataclass
class Mirror:
    """Serve `body` on the loopback; each request takes the next of `faults`, and is written down.

    A request that is held sets `arrived` and is answered after `go`.
    """

    url: str
    body: bytes = BODY
    faults: list[Fault] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def log_message(self, format: str, *args: object) -> None:  # the name is the library's
        pass

    def do_GET(self) -> None:  # the name is the library's
        mirror, asked = self.mirror, self.headers["Range"]
        mirror.paths.append(self.path)
        mirror.ranges.append(asked)
        fault = mirror.faults.pop(0) if mirror.faults else "none"
        if not self.path.endswith(f"/{TINY.file}") and not any(c.file in self.path for c in CATALOGUE.values()):
            self.send_error(404)
        elif fault == "busy":
            self.send_error(503)
        elif fault == "redirect":
            self.send_response(302)
            self.send_header("Location", f"{mirror.url}/elsewhere/{TINY.file}")
            self.end_headers()
        elif fault != "silent":
            self.send_body(asked if fault != "ignore_range" else None, fault=fault)

    def send_body(self, asked: str | None, *, fault: Fault) -> None:
        body, start = self.mirror.body, 0
        if asked:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            start = start // 2 if fault == "wrong_range" else start
        rest = body[start:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if fault != "chunked":
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if fault == "held":
            self.mirror.arrived.set()
            self.mirror.go.wait(20)
        self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    handler = type("MirrorHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.mirror = Mirror(url=f"http://127.0.0.1:{server.server_port}/mirror")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", handler.mirror.url + "/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of the first request of a process
    yield handler.mirror
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def held(cache: Path) -> list[str]:
    folder = cache / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refuse_to_wait(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for an error that does not pass")


def test_a_checkpoint_is_exported_in_another_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from safetensors.torch import load_file

    from multimae.backbone import MultiMAE

    backbone = MultiMAE(modalities=["rgb", "depth"], image_size=32, dim=16, depth=1, num_heads=2)
    source, target = tmp_path / "ours.pth", tmp_path / "vit.safetensors"
    torch.save({"model": {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}}, source)
    assert cli.main(["weights", "export", str(source), str(target), "--layout", "timm"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(target)
    assert "left out 3 parameters that timm has no place for" in said.err
    assert torch.equal(load_file(target)["blocks.0.norm1.weight"], backbone.state_dict()["encoder.0.norm1.weight"])
    assert cli.main(["weights", "export", str(source), str(tmp_path / "vit.onnx")]) == 2
    assert "ends in '.onnx'" in capsys.readouterr().err
    assert cli.main(["weights", "export", str(tmp_path / "none.pth"), str(target)]) == 3
    assert "No such file" in capsys.readouterr().err


def test_the_catalogue_holds_the_four_published_files() -> None:
    assert set(CATALOGUE) == {"multimae-b-1600e", "multimae-b-1600e-timm", "mae-b-1600e", "mae-b-1600e-timm"}
    assert {name: checkpoint.sha256_prefix for name, checkpoint in CATALOGUE.items()} == {
        "multimae-b-1600e": "afff3f8c",
        "multimae-b-1600e-timm": "bafa5499",
        "mae-b-1600e": "c477195b",
        "mae-b-1600e-timm": "f74f3a8d",
    }
    for checkpoint in CATALOGUE.values():
        assert set(checkpoint.modalities) <= set(MODALITIES)
        assert checkpoint.file.split("_")[-1].startswith(checkpoint.format)
        assert checkpoint.licence == "CC-BY-NC 4.0"
        assert f"{checkpoint.epochs}e" in checkpoint.file
    assert published("mae-b-1600e").url == (
        "https://github.com/EPFL-VILAB/MultiMAE/releases/download/pretrained-weights/"
        "mae-b_dec512d8b_1600e_multivit-c477195b.pth"
    )


def test_a_download_is_verified_and_the_second_needs_no_server(mirror: Mirror, cache: Path) -> None:
    lines: list[str] = []
    progress: list[tuple[int, int | None]] = []
    report = Report(say=lines.append, progress=lambda held, total: progress.append((held, total)))
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
    assert fetch(TINY, cache=cache, sleep=waits.append, report=Report(say=lines.append)).read_bytes() == BODY
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
    assert fetch(TINY, cache=cache, report=Report(say=lines.append)).read_bytes() == BODY
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

    together(*[lambda: paths.append(fetch(TINY, cache=cache, report=Report(say=say)))] * 5)
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
        paths.append(fetch(TINY, cache=cache, report=Report(say=lambda line: mirror.go.set())))

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
        paths.append(fetch(TINY, cache=cache, report=Report(say=restore)))

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


def get(name: str, *options: str) -> int:
    return cli.main(["weights", "get", name, *options])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a file small enough to serve into the catalogue, as no test can make bytes with a published digest."""
    for module in ("multimae.checkpoints.command", "multimae.checkpoints.catalogue"):
        monkeypatch.setattr(f"{module}.CATALOGUE", {**CATALOGUE, TINY.name: TINY})
    return TINY.name


def test_get_prints_the_path_alone_and_the_licence_beside_it(
    mirror: Mirror, cache: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(tiny) == 0
    said = capsys.readouterr()
    assert said.out == f"{cached_path(TINY, cache=cache)}\n"
    assert said.err == f"{TINY.file} is CC-BY-NC 4.0 (non-commercial), from https://github.com/EPFL-VILAB/MultiMAE\n"
    assert get(tiny) == 0
    said = capsys.readouterr()
    assert said.out == f"{cached_path(TINY, cache=cache)}\n"
    assert "is there already and verified" in said.err
    assert len(mirror.ranges) == 1


def test_get_to_another_folder_takes_it_from_the_cache_where_it_can(
    mirror: Mirror, cache: Path, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(tiny, "--to", str(tmp_path / "a")) == 0
    assert (tmp_path / "a" / TINY.file).read_bytes() == BODY
    assert held(cache) == []
    assert get(tiny) == 0
    assert len(mirror.ranges) == 2
    assert get(tiny, "--to", str(tmp_path / "b")) == 0
    assert (tmp_path / "b" / TINY.file).read_bytes() == BODY
    assert len(mirror.ranges) == 2
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "b" / TINY.file)


def test_a_folder_can_be_the_mirror(
    cache: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", tmp_path.as_uri())
    assert get(tiny) == 3
    assert "No such file" in capsys.readouterr().err
    (tmp_path / TINY.file).write_bytes(BODY)
    assert get(tiny) == 0
    assert cached_path(TINY, cache=cache).read_bytes() == BODY


def expect_one_sentence(capsys: pytest.CaptureFixture[str], *, path: Path, told: str) -> None:
    said = capsys.readouterr()
    assert said.out == ""
    (sentence,) = [line for line in said.err.splitlines() if "(non-commercial)" not in line]
    assert re.search(told, sentence), sentence
    assert re.search(rf"put https://\S+ at {re.escape(str(path))} by hand", sentence)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("closed", r"cannot reach 127\.0\.0\.1:\d+: Connection refused"),
        ("missing", r"/gone/\S+ answered 404 Not Found"),
        ("unknown", r"cannot reach weights\.invalid: Name or service not known"),
        ("no url", r"cannot reach weights/\S+: unknown url type"),
        ("tampered", r"gave \d+ bytes with SHA-256 \w{64}, wanted one that begins with c477195b"),
    ],
)
def test_what_cannot_be_downloaded_can_be_put_there_by_hand(
    where: str,
    told: str,
    mirror: Mirror,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if where == "closed":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", f"http://127.0.0.1:{port}")
    elif where == "missing":
        monkeypatch.setattr(Handler, "do_GET", lambda self: self.send_error(404))
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", mirror.url + "/gone")
    elif where == "unknown":

        def not_found(*args: object, **kwargs: object) -> object:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", not_found)
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", "http://weights.invalid")
    elif where == "no url":
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", "weights")
    before = time.monotonic()
    assert get("mae-b-1600e") == 3
    assert time.monotonic() - before < WAITS_S[0]
    assert held(cache) == []
    expect_one_sentence(capsys, path=cached_path(published("mae-b-1600e"), cache=cache), told=told)


def test_a_cache_that_cannot_be_written_is_told(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "file" / "cache"))
    assert get("mae-b-1600e") == 3
    path = cached_path(published("mae-b-1600e"), cache=cache_dir())
    expect_one_sentence(capsys, path=path, told=r"cannot write .*: Not a directory")
    assert mirror.ranges == []


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


def test_an_unknown_name_is_wrong_usage_and_lists_the_nearest_first(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get("mae-b-1600e-tim") == 2
    assert "did you mean mae-b-1600e-timm or " in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        cli.main(["weights", "fetch"])
    assert raised.value.code == 2


def test_ctrl_c_ends_without_a_traceback(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **kwargs: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("multimae.checkpoints.command.fetch", interrupt)
    assert get("mae-b-1600e") == 130
    assert "goes on from here" in capsys.readouterr().err


def test_ls_tells_what_there_is_and_what_is_here(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cached_path(published("mae-b-1600e"), cache=cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert cli.main(["weights", "ls", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(CATALOGUE)
    assert [name for name, entry in listed.items() if entry["cached"]] == ["mae-b-1600e"]
    assert listed["mae-b-1600e"]["path"] == str(path)
    assert listed["multimae-b-1600e"]["modalities"] == ["rgb", "depth", "semseg"]
    assert listed["multimae-b-1600e"]["url"].endswith("/multimae-b_98_rgb+-depth-semseg_1600e_multivit-afff3f8c.pth")
    assert cli.main(["weights", "ls"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in CATALOGUE)
    assert re.search(r"mae-b-1600e .* CC-BY-NC 4.0 .* yes", table)


def test_ls_in_a_process_of_its_own_is_quick_and_loads_no_torch(cache: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-X", "importtime", "-m", "multimae.cli", "weights", "ls"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "multimae-b-1600e" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "multimae.checkpoints.catalogue" in loaded
    assert not {name for name in loaded if name.split(".")[0] in ("torch", "timm", "mmengine", "numpy")}
    assert after.ru_utime - before.ru_utime < 1.0


def test_the_cache_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MULTIMAE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "multimae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "multimae"
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"

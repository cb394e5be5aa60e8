"""Download a file: go on where an earlier try stopped, verify its digest, rename it into place.

No library does both: `torch.hub.download_url_to_file` knows digests by their first digits but starts anew every time
and loads torch, `huggingface_hub` goes on but verifies nothing, `pooch` starts anew and wants the whole digest.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BufferedRandom, BufferedReader
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from urllib.response import addinfourl

from multimae.record import locks

TIMEOUT_S = 20.0
WAITS_S = (1.0, 2.0, 4.0, 8.0)
CHUNK_BYTES = 1 << 18
RANGE_NOT_SATISFIABLE = 416
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, RANGE_NOT_SATISFIABLE})
PASSING_REASONS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Answer = HTTPResponse | addinfourl


class DownloadError(Exception):
    """Report why a file could not be downloaded."""


class _PassingError(Exception):
    """Report what may be over at the next try."""


@dataclass(frozen=True, kw_only=True)
class DownloadListener:
    """Take what a download tells: `say` a line; `progress` the bytes held and of how many, None where not known."""

    say: Callable[[str], object] = lambda line: None
    progress: Callable[[int, int | None], object] = lambda held, total: None


SILENT = DownloadListener()


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """Name the byte of the file an answer starts with, and the length of the whole file where it is told."""

    start: int
    total: int | None


def download(
    url: str,
    *,
    path: Path,
    sha256: str,
    report: DownloadListener = SILENT,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Return `path`, once it holds a file whose SHA-256 begins with `sha256`; nothing else is ever renamed to it.

    What has come so far lies in `<path>.part`, locked by the process at work; others wait for it.
    """
    try:
        if verified(path, sha256=sha256):
            report.say(f"{path.name} is there already and verified")
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        part_path = path.with_name(f"{path.name}.part")
        with _owned(part_path, report=report) as part:
            if not verified(path, sha256=sha256):  # another process may have been faster
                _set_aside(path, report=report)
                _complete(part, url=url, sha256=sha256, report=report, sleep=sleep)
                part_path.replace(path)
    except OSError as error:
        raise DownloadError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def verified(path: Path, *, sha256: str) -> bool:
    """Say whether there is a file at `path` whose SHA-256 begins with `sha256`."""
    try:
        with path.open("rb") as file:
            return _digest(file).startswith(sha256)
    except FileNotFoundError:
        return False


def _digest(file: BufferedRandom | BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _owned(path: Path, *, report: DownloadListener) -> Iterator[BufferedRandom]:
    """Open a file to append to, for this process alone; remove it if it is empty in the end."""
    while True:
        with path.open("a+b") as file:
            _lock(file, report=report)
            if not _is_at(path, file=file):
                continue  # who had it before has renamed or removed it
            try:
                yield file
            finally:
                file.flush()
                if os.fstat(file.fileno()).st_size == 0:
                    path.unlink(missing_ok=True)
            return


def _lock(file: BufferedRandom, *, report: DownloadListener) -> None:
    if not locks.try_lock(file):
        report.say("another process is downloading this file; waiting for it")
        locks.lock(file)


def _is_at(path: Path, *, file: BufferedRandom) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _set_aside(path: Path, *, report: DownloadListener) -> None:
    if path.exists():
        rejected = path.replace(path.with_name(f"{path.name}.rejected"))
        report.say(f"{path} is not the file wanted; it is now {rejected.name}")


def _complete(
    part: BufferedRandom, *, url: str, sha256: str, report: DownloadListener, sleep: Callable[[float], object]
) -> None:
    """Fill `part` until its digest is the one wanted; bytes with another digest are thrown away."""
    if not _digest(part).startswith(sha256):  # all may have come before a kill
        _transfer(url, part=part, report=report, sleep=sleep)
    digest = _digest(part)
    if not digest.startswith(sha256):
        size = part.seek(0, os.SEEK_END)
        part.truncate(0)
        raise DownloadError(
            f"{url} gave {size} bytes with SHA-256 {digest}, wanted one that begins with {sha256}; "
            "they are removed, and the same command starts anew"
        )
    os.fsync(part.fileno())


def _transfer(url: str, *, part: BufferedRandom, report: DownloadListener, sleep: Callable[[float], object]) -> None:
    """Append what `part` lacks; after an error that may pass, wait and go on."""
    for wait_s in (*WAITS_S, None):
        try:
            _receive(url, part=part, report=report)
            return
        except _PassingError as error:
            if wait_s is None:
                kept = "what has come is kept, and the same command goes on from there"
                raise DownloadError(f"{error} (tried {len(WAITS_S) + 1} times; {kept})") from error
            report.say(f"{error}; trying again in {wait_s:g} s")
            sleep(wait_s)


def _receive(url: str, *, part: BufferedRandom, report: DownloadListener) -> None:
    """Ask once for what `part` lacks and append it; it starts anew where the answer does not go on from its end."""
    held = part.seek(0, os.SEEK_END)
    try:
        answer = _ask(url, offset=held)
    except HTTPError as error:
        with error:
            if error.code == RANGE_NOT_SATISFIABLE:
                part.truncate(0)  # it is longer than the file
            told = f"{url} answered {error.code} {error.reason}"
            raise (_PassingError if error.code in PASSING_STATUS else DownloadError)(told) from error
    with answer:
        offer = _offer(answer)
        if offer.start != held:
            part.truncate(0)
        if offer.start not in (0, held):
            raise _PassingError(f"{_host(url)} sent bytes from {offer.start} on, asked for those from {held}")
        _append(answer, part=part, url=url, offer=offer, report=report)


def _ask(url: str, *, offset: int) -> Answer:
    """Open `url` at a byte; what the server answers with an error status is left to the caller."""
    headers = {"User-Agent": "multimae"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        answer: Answer = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
        return answer
    except HTTPError:
        raise
    except URLError as error:
        kind = _PassingError if isinstance(error.reason, PASSING_REASONS) else DownloadError
        raise kind(f"cannot reach {_host(url)}: {_words(error.reason)}") from error
    except (OSError, HTTPException) as error:
        raise _PassingError(f"{_host(url)} broke off: {_words(error)}") from error
    except ValueError as error:
        raise DownloadError(f"cannot reach {url}: {error}") from error


def _offer(answer: Answer) -> _Offer:
    if found := CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "")):
        return _Offer(start=int(found[1]), total=None if found[2] == "*" else int(found[2]))
    length = answer.headers.get("Content-Length", "")
    return _Offer(start=0, total=int(length) if length.isdecimal() else None)


def _append(answer: Answer, *, part: BufferedRandom, url: str, offer: _Offer, report: DownloadListener) -> None:
    held = offer.start
    if offer.total is not None:
        _check_room(part, needed=offer.total - held)
    report.progress(held, offer.total)
    for chunk in _chunks(answer, url=url):
        part.write(chunk)
        held += len(chunk)
        report.progress(held, offer.total)
    if offer.total is not None and held != offer.total:
        raise _PassingError(f"{_host(url)} broke off after {held} of {offer.total} bytes")


def _chunks(answer: Answer, *, url: str) -> Iterator[bytes]:
    """Yield the body; only errors of the network are translated here, those of the disk are raised outside."""
    try:
        while chunk := answer.read(CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _PassingError(f"{_host(url)} broke off: {_words(error)}") from error


def _check_room(part: BufferedRandom, *, needed: int) -> None:
    disk = os.fstatvfs(part.fileno())
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        raise DownloadError(f"{needed / 1e6:.1f} MB are to come, the disk of {part.name} has {free / 1e6:.1f} MB free")


def _host(url: str) -> str:
    return urlsplit(url).netloc or url


def _words(reason: object) -> str:
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)

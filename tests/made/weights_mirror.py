"""A mirror of the published checkpoints on the loopback, which misbehaves as told."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal

from multimae.checkpoints.catalogue import CATALOGUE, PublishedCheckpoint

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


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def held(cache: Path) -> list[str]:
    folder = cache / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refuse_to_wait(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for an error that does not pass")

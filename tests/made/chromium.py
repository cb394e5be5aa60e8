"""A page in a real browser: its document after its scripts have run, or a picture of it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --virtual-time-budget=20000"
)


def dump_dom(page: Path, address: str = "", *, width: int = 1200, height: int = 900) -> str:
    """Return the document as it stands once nothing more happens; `address` is what follows the file, as in `#a=1`."""
    return _run(page, address, "--dump-dom", f"--window-size={width},{height}")


def take_screenshot(page: Path, address: str = "", *, to: Path, width: int = 1200, height: int = 900) -> None:
    """Write what the window shows as a PNG."""
    _run(page, address, f"--screenshot={to}", f"--window-size={width},{height}")


def _run(page: Path, address: str, *options: str) -> str:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS.split(), f"--user-data-dir={profile}", *options, page.as_uri() + address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout

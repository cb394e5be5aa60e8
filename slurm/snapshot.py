"""A copy of the code that jobs and drivers run, so that editing the checkout does not change what waits or goes on."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

LEFT_OUT = frozenset({".pyc", ".md", ".tar", ".xz", ".zip"})
"""Suffixes of what lies beside code and is not read by it once a plan is made."""


def snapshot(packages: Sequence[Path], *, into: Path) -> Path:
    """Copy the files of packages to `into/<hash of them>/<package>` and return that hash's folder.

    The folder goes to the front of a job's PYTHONPATH. The same code is copied once, whole or not at all.
    """
    files = {path.relative_to(package.parent): path for package in packages for path in _files(package)}
    contents = {relative: path.read_bytes() for relative, path in files.items()}
    digest = hashlib.sha256()
    for relative, content in contents.items():
        digest.update(f"{relative} {len(content)}\n".encode() + content)
    folder = into / digest.hexdigest()[:12]
    if folder.is_dir():
        return folder
    temporary = into / f".{folder.name}.{os.getpid()}"
    for parent in {relative.parent for relative in contents}:
        (temporary / parent).mkdir(parents=True, exist_ok=True)
    for relative, content in contents.items():
        (temporary / relative).write_bytes(content)
        shutil.copystat(files[relative], temporary / relative)  # a report made by the copy is not older than the code
    try:
        temporary.rename(folder)
    except OSError:  # another driver was first
        shutil.rmtree(temporary)
    return folder


def _files(package: Path) -> list[Path]:
    """List what belongs to a package; in a wheel the drivers' packages lie inside the library's, in `_bundle`."""
    found = []
    for folder, names, files in os.walk(package):
        names[:] = sorted(name for name in names if name not in ("__pycache__", "_bundle"))
        found += [Path(folder, name) for name in sorted(files) if Path(name).suffix not in LEFT_OUT]
    return found

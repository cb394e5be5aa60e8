"""A copy of the code that jobs run, so that editing the checkout does not change jobs that still wait."""

import hashlib
import os
import shutil
from pathlib import Path


def snapshot(package: Path, *, into: Path) -> Path:
    """Copy a package's Python files to `into/<hash of them>/<package>` and return that hash's folder.

    The folder goes to the front of a job's PYTHONPATH. The same code is copied once, whole or not at all.
    """
    files = sorted(path for path in package.rglob("*.py") if "_bundle" not in path.parts)
    contents = {path.relative_to(package): path.read_bytes() for path in files}
    digest = hashlib.sha256()
    for relative, content in contents.items():
        digest.update(f"{relative} {len(content)}\n".encode() + content)
    folder = into / digest.hexdigest()[:12]
    if folder.is_dir():
        return folder
    temporary = into / f".{folder.name}.{os.getpid()}"
    for relative, content in contents.items():
        target = temporary / package.name / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    try:
        temporary.rename(folder)
    except OSError:  # another driver was first
        shutil.rmtree(temporary)
    return folder

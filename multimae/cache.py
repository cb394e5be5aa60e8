"""The one folder outside the runs folder that is written to."""

import errno
import os
from pathlib import Path


def cache_dir() -> Path:
    """Return MULTIMAE_CACHE, else `multimae` in the user's cache folder; it need not exist yet."""
    base = os.environ.get("MULTIMAE_CACHE")
    if base:
        return Path(base)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "multimae"
    except RuntimeError as error:
        said = "there is no home folder to keep a cache in (HOME is not set); set MULTIMAE_CACHE to a folder"
        raise FileNotFoundError(errno.ENOENT, said) from error

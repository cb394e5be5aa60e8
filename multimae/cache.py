"""The one folder outside the runs folder that is written to."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return MULTIMAE_CACHE, else `multimae` in the user's cache folder; it need not exist yet."""
    base = os.environ.get("MULTIMAE_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "multimae"

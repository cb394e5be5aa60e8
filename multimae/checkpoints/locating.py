"""Where the weights are that a user names: a file, or a published checkpoint, downloaded if need be."""

import os
import re
from errno import ENOENT
from functools import partial
from os import PathLike
from pathlib import Path

from multimae.cache import cache_dir
from multimae.checkpoints.catalogue import CATALOGUE, cached_path, fetch
from multimae.checkpoints.download import DownloadListener
from multimae.record.nearest import unknown
from multimae.record.text import tell


def located(name_or_file: str | PathLike[str]) -> Path:
    """Return the file of weights of that path, or of that name in `multimae weights ls`.

    FileNotFoundError, with the nearest names, for one that is neither; ValueError for an address on the web.
    """
    text = os.fspath(name_or_file)
    path = Path(text)
    if path.is_file():
        return path
    if text in CATALOGUE:
        report = DownloadListener(say=partial(tell, stream="err"))
        checkpoint = CATALOGUE[text]
        if not cached_path(checkpoint, cache=cache_dir()).is_file():
            report.say(f"{checkpoint.file} is {checkpoint.licence} (non-commercial), from {checkpoint.source}")
        return fetch(checkpoint, cache=cache_dir(), report=report)
    if re.match(r"[\w-]+://", text):
        raise ValueError(f"{text} is no file: download it and give its path; {', '.join(CATALOGUE)} are known by name")
    if path.suffix or os.sep in text or path.exists():
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), text)
    raise FileNotFoundError(ENOENT, unknown("file or published checkpoint", text, CATALOGUE), text)

"""What transfers start from: the suite's pre-trainings, nothing, published weights, or a file of the user's."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.task import Profile
from experiments.plan.distinct import check_folder_name
from experiments.plan.errors import PreconditionError, UsageError, unknown
from experiments.plan.suite import SCRATCH, StartingWeights, Suite
from multimae.cache import cache_dir
from multimae.checkpoints.catalogue import CATALOGUE, cached_path, fetch, published
from multimae.checkpoints.download import DownloadError, DownloadListener
from multimae.checkpoints.reading import split_words
from multimae.checkpoints.shapes import encoder_shape
from multimae.record.text import tell

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")


def resolve_starts(
    suite: Suite, *, chosen: Sequence[str] | None, profile: Profile
) -> tuple[tuple[str, ...], tuple[StartingWeights, ...]]:
    """Return the names of the checkpoints to measure, and those of them that are files.

    A choice is a pre-training of the suite, `scratch`, a name of the catalogue, or `name=path` or a path to a file of
    weights, which words may follow that say how to read it, as in `path#ema#half`. Nothing is downloaded: a published
    file's digest is in its name.
    """
    if chosen is None:
        chosen = suite.published if profile == "paper" and suite.published else suite.checkpoints
    own = (*(part.name for part in suite.pretrainings), SCRATCH)
    files = {choice: _weights(choice, own=own) for choice in chosen if choice not in own}
    names = tuple(files[choice].name if choice in files else choice for choice in chosen)
    if len(set(names)) != len(names):
        raise UsageError(f"--checkpoints names something twice: {', '.join(names)}")
    return names, tuple(files.values())


def fetch_published(weights: Sequence[StartingWeights]) -> None:
    """Download what is published and not in the cache yet."""
    for name in (file.name for file in weights if file.name in CATALOGUE):
        try:
            fetch(
                published(name),
                cache=cache_dir(),
                report=DownloadListener(say=lambda line: tell(line, stream="err")),
            )
        except DownloadError as error:
            raise PreconditionError(str(error)) from error


def _weights(choice: str, *, own: Sequence[str]) -> StartingWeights:
    if choice in CATALOGUE:
        checkpoint = published(choice)
        path = cached_path(checkpoint, cache=cache_dir())
        return StartingWeights(name=choice, path=path, digest=checkpoint.sha256_prefix)
    name, separator, rest = choice.partition("=")
    try:
        place, reading = split_words(rest if separator else choice)
    except ValueError as error:
        raise UsageError(f"--checkpoints {choice}: {error}") from error
    if not separator and not place.endswith(WEIGHT_SUFFIXES):
        raise unknown("checkpoint", choice, [*own, *CATALOGUE, "NAME=FILE"])
    path = Path(place)
    if not path.is_file():
        raise PreconditionError(f"no file of weights at {path}; `multimae weights ls` lists published ones")
    name = name if separator else path.stem
    if name in (*own, *CATALOGUE):
        raise UsageError(f"{name!r} has a meaning of its own; give the file another name: my-{name}={path}")
    try:
        check_folder_name(name, what="checkpoint")
    except ValueError as error:
        raise UsageError(f"{error}; give the file one: NAME={path}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        reading = reading.of(path)
        shape = encoder_shape(path, weights=reading.weights)
    except ValueError as error:
        raise PreconditionError(f"{path} cannot be started from: {error}") from error
    if shape is None:
        return StartingWeights(name=name, path=path.resolve(), digest=digest, reading=reading, patch_size=0)
    return StartingWeights(name=name, path=path.resolve(), digest=digest, reading=reading, **asdict(shape))

"""The published checkpoints: what there is, under which licence, and how to have it on disk. Free of torch."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from multimae.checkpoints.download import SILENT, DownloadError, DownloadListener, download
from multimae.record.nearest import unknown

RELEASE_URL = "https://github.com/EPFL-VILAB/MultiMAE/releases/download/pretrained-weights"
MIRROR_VARIABLE = "MULTIMAE_WEIGHTS_URL"


class UnknownCheckpointError(ValueError):
    """Report a name that no published checkpoint has."""


@dataclass(frozen=True, kw_only=True)
class PublishedCheckpoint:
    """Describe one published file.

    `format`: "multivit" has the reference's names and loads with `load_backbone`; "timm" those of a timm ViT.
    `modalities`: the input adapters it holds. `num_bytes`: None where nobody has told us.
    """

    name: str
    title: str
    file: str
    format: Literal["multivit", "timm"]
    modalities: tuple[str, ...]
    epochs: int
    num_bytes: int | None = None
    licence: str = "CC-BY-NC 4.0"
    source: str = "https://github.com/EPFL-VILAB/MultiMAE"

    @property
    def sha256_prefix(self) -> str:
        """The first digits of the file's SHA-256: by torch.hub's convention, the last word of its name."""
        return Path(self.file).stem.rpartition("-")[2]

    @property
    def url(self) -> str:
        """Where its authors publish it."""
        return f"{RELEASE_URL}/{self.file}"


# The size of multimae-b-1600e is one of its users' word, not its authors': shown, and relied on by nothing. It is that
# of our 98,569,360 parameters in single precision and 129 kB of names.
CATALOGUE: Mapping[str, PublishedCheckpoint] = MappingProxyType(
    {
        checkpoint.name: checkpoint
        for checkpoint in (
            PublishedCheckpoint(
                name="multimae-b-1600e",
                title="MultiMAE, ViT-B, with its decoders",
                file="multimae-b_98_rgb+-depth-semseg_1600e_multivit-afff3f8c.pth",
                format="multivit",
                modalities=("rgb", "depth", "semseg"),
                epochs=1600,
                num_bytes=394_406_915,
            ),
            PublishedCheckpoint(
                name="multimae-b-1600e-timm",
                title="its encoder for RGB, as a timm ViT",
                file="multimae-b_98_rgb+-depth-semseg_1600e_timm-bafa5499.pth",
                format="timm",
                modalities=("rgb",),
                epochs=1600,
            ),
            PublishedCheckpoint(
                name="mae-b-1600e",
                title="MAE, ViT-B, decoder 512 x 8",
                file="mae-b_dec512d8b_1600e_multivit-c477195b.pth",
                format="multivit",
                modalities=("rgb",),
                epochs=1600,
            ),
            PublishedCheckpoint(
                name="mae-b-1600e-timm",
                title="its encoder, as a timm ViT",
                file="mae-b_dec512d8b_1600e_timm-f74f3a8d.pth",
                format="timm",
                modalities=("rgb",),
                epochs=1600,
            ),
        )
    }
)


def published(name: str) -> PublishedCheckpoint:
    """Look up a published checkpoint; an unknown name lists the known ones, nearest first."""
    if name not in CATALOGUE:
        raise UnknownCheckpointError(unknown("published checkpoint", name, CATALOGUE))
    return CATALOGUE[name]


def cached_path(checkpoint: PublishedCheckpoint, *, cache: Path) -> Path:
    """Return where a checkpoint lies below a cache folder once it is downloaded."""
    return cache.resolve() / "checkpoints" / checkpoint.file


def address(checkpoint: PublishedCheckpoint) -> str:
    """Return the URL to download from: below MULTIMAE_WEIGHTS_URL where that names a mirror, else its authors'."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    return f"{mirror.rstrip('/')}/{checkpoint.file}" if mirror else checkpoint.url


def fetch(
    checkpoint: PublishedCheckpoint,
    *,
    cache: Path,
    to: Path | None = None,
    report: DownloadListener = SILENT,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Return the path of a checkpoint's file below `cache`, or in the folder `to`: downloaded if need be, and verified.

    A file that is there and verified is returned without a request; `to` is served from the cache where it can be.
    """
    cached = cached_path(checkpoint, cache=cache)
    path = to.resolve() / checkpoint.file if to else cached
    url = cached.as_uri() if to and cached.is_file() else address(checkpoint)
    try:
        return download(url, path=path, sha256=checkpoint.sha256_prefix, report=report, sleep=sleep)
    except DownloadError as error:
        raise DownloadError(
            f"{error}; to do without this download, put {checkpoint.url} at {path} by hand "
            f"({MIRROR_VARIABLE} names a mirror, MULTIMAE_CACHE another cache folder)"
        ) from error

"""Write ADE20K from ADEChallengeData2016.zip, or from the folder that it unpacks to."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from multimae.data.files import PHOTOGRAPHIC, why_not_in
from multimae.data.manifest import Provenance
from multimae.data.sample import DataNotFoundError
from multimae.data.sets.ade20k import SPEC
from multimae.prepare.archives import Contents, contents
from multimae.prepare.command import add_options, convert
from multimae.prepare.unpacking import Files, Unpacking, files

ARCHIVE = "ADEChallengeData2016.zip"
MODALITIES = MappingProxyType({"images": "rgb", "annotations": "semseg"})
SPLITS = MappingProxyType({"training": "train", "validation": "val"})
FILE = re.compile(r"(?:.*/)?(images|annotations)/(training|validation)/([^/]+\.(?:jpg|png))")
UNITS = MappingProxyType({"rgb": "8-bit colour", "semseg": "classes 1 to 150, 0 unlabelled"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare ade20k`."""
    parser.description = f"Write ADE20K from {ARCHIVE}, or from the folder it unpacks to, whose files are linked."
    add_options(parser, name="ade20k", published=f"{ARCHIVE}, or the folder that holds images/ and annotations/")


def run(args: argparse.Namespace) -> int:
    """Take out what is not there yet; return the exit status."""
    return convert(scene_parsing(args.published, out=args.out), name="ade20k", arguments=args)


def scene_parsing(published: Path, *, out: Path) -> Unpacking:
    """List the images and annotations of an archive or a folder."""
    listed = [item for found in _contents(published) for item in _files(found, out=out)]
    if not listed:
        raise DataNotFoundError(f"{published} holds no images/training.\n{SPEC.how_to_get}")
    about = Provenance(
        dataset=SPEC.name,
        source=str(published.absolute()),
        decisions=("files kept as published",),
        units=UNITS,
    )
    return Unpacking(about=about, listed=listed)


def _contents(published: Path) -> Iterator[Contents]:
    for root in (published, published / "ADEChallengeData2016"):
        folders = [root / folder / split for folder in MODALITIES for split in SPLITS]
        if any(folder.is_dir() for folder in folders):
            yield from (contents(folder) for folder in folders if folder.is_dir())
            return
    archive = published / ARCHIVE if published.is_dir() else published
    if archive.is_file():
        yield contents(archive)


def _files(found: Contents, *, out: Path) -> Iterator[Files]:
    above = "/".join(found.source.parts[-2:]) + "/" if found.source.is_dir() else ""
    return files(found, output=lambda member: _output(above + member.path), out=out)


def _output(path: str) -> str | None:
    match = FILE.fullmatch(path)
    if match is None or why_not_in(path, reads=PHOTOGRAPHIC) is not None:
        return None
    return f"{SPLITS[match[2]]}/{MODALITIES[match[1]]}/all/{match[3]}"

"""Write Taskonomy from the archives of its buildings and domains, or from the folders that they unpack to."""

import argparse
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from multimae.data.arrangements import VALIDITY, domain_in_names, views_of
from multimae.data.files import subfolders, why_no_folder
from multimae.data.manifest import Provenance
from multimae.data.sample import DataNotFoundError
from multimae.data.sets.taskonomy import SPEC
from multimae.data.taskonomy_splits import SPLITS, ViewSplits
from multimae.prepare.archives import Contents, Member, contents
from multimae.prepare.command import add_options, convert
from multimae.prepare.unpacking import Files, Unpacking, files

FILE = re.compile(r"(point_\d+_view_\d+)_domain_(\w+)\.png")
DOMAINS = (*SPEC.modalities, VALIDITY)
# As published first, and as Omnidata's download tool names them.
ARCHIVE = re.compile(rf"(?P<building>.+?)_(?P<domain>{'|'.join(DOMAINS)})\.tar")
OMNIDATA_ARCHIVE = re.compile(rf"(?P<domain>{'|'.join(DOMAINS)})__taskonomy__(?P<building>.+)\.tar")
# Not below the buildings, which have thousands of files each.
ARCHIVES = ("*.tar", "*/*.tar", "*/taskonomy/*.tar")
NO_SPLIT = "files in no split"
UNITS = MappingProxyType(
    {
        "rgb": "8-bit colour",
        "depth_zbuffer": "16-bit, 1/512 m, 65535 invalid",
        VALIDITY: "255 valid, else 0",
    }
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare taskonomy`."""
    parser.description = (
        "Write Taskonomy from {building}_{domain}.tar, or from folders {domain}/{building}, whose files are linked; "
        "splits from *train.csv, *val.csv and *test.csv there, else by the buildings of the tiny split."
    )
    add_options(parser, name="taskonomy", published="folder of archives, or of domains")


def run(args: argparse.Namespace) -> int:
    """Take out what is not there yet; return the exit status."""
    return convert(building_views(args.published, out=args.out), name="taskonomy", arguments=args)


def building_views(published: Path, *, out: Path) -> Unpacking:
    """List the images of the splits, in archives and folders."""
    splits, left_out = ViewSplits(published), Counter[str]()
    listed = [
        item
        for building, domain, found in _found(published)
        for item in _views(found, building=building, domain=domain, splits=splits, left_out=left_out, out=out)
    ]
    if not listed:
        raise DataNotFoundError(
            f"{published} holds no images of any split, neither in {{building}}_{{domain}}.tar nor in "
            f"{{domain}}/{{building}}/.\n{SPEC.how_to_get}"
        )
    about = Provenance(
        dataset=SPEC.name,
        source=str(published.absolute()),
        settings={split: _origin(splits.table(split)) for split in SPLITS},
        decisions=("files kept as published, named {building}_point_{p}_view_{v}",),
        units=UNITS,
        left_out=dict(left_out),
    )
    return Unpacking(about=about, listed=listed)


def _origin(table: Path | None) -> str:
    """Say where a split is from; other rows are another split, which must not be mixed with the files of this one."""
    if table is None:
        return "buildings of the tiny split"
    return f"{table.name}, sha256 {hashlib.sha256(table.read_bytes()).hexdigest()[:12]}"


def _found(published: Path) -> Iterator[tuple[str, str, Contents]]:
    """Yield buildings and domains with their files: those of archives, then those of folders."""
    for path in sorted(path for where in ARCHIVES for path in published.glob(where)):
        match = ARCHIVE.fullmatch(path.name) or OMNIDATA_ARCHIVE.fullmatch(path.name)
        if match is not None and why_no_folder(path.name) is None:
            yield match["building"], match["domain"], contents(path)
    for domain in DOMAINS:
        views = views_of(published / domain)
        if views.is_dir():
            for building in subfolders(views):
                yield building, domain, contents(views / building)


def _views(
    found: Contents, *, building: str, domain: str, splits: ViewSplits, left_out: Counter[str], out: Path
) -> Iterator[Files]:
    def output(member: Member) -> str | None:
        match = FILE.fullmatch(member.name)
        if match is None or match[2] != domain_in_names(domain):
            return None
        split = splits.split_of(f"{building}/{match[1]}")
        if split is None:
            left_out[NO_SPLIT] += 1
            return None
        return f"{split}/{domain}/all/{building}_{match[1]}.png"

    return files(found, output=output, out=out)

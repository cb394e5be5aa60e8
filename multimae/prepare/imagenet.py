"""Write ImageNet-1K from its official archives or unpacked folders, with the pseudo labels of MultiMAE's authors."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from multimae.data.arrangements import endings_of
from multimae.data.files import REASONS, why_not_in
from multimae.data.manifest import Provenance
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.sets.imagenet import SPEC
from multimae.prepare.archives import Contents, Member, contents, contents_of_tar
from multimae.prepare.command import add_options, convert
from multimae.prepare.imagenet_classes import KIT, find_classes, validation_classes
from multimae.prepare.unpacking import Files, Unpacking, files

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
CLASS = re.compile(r"n\d{8}")
LABEL_ARCHIVES = MappingProxyType({"depth": "depth_tar", "semseg": "semseg_tar"})
UNITS = MappingProxyType(
    {
        "rgb": "8-bit colour",
        "depth": "16-bit pseudo labels, no unit, larger is farther",
        "semseg": "pseudo labels, COCO classes 0 to 132",
    }
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data prepare imagenet`."""
    parser.description = (
        f"Write ImageNet-1K from {TRAIN}, {VAL} and {KIT}.tar.gz, or from folders {{train,val}}/nXXXXXXXX, whose files "
        "are linked; and pseudo labels from {train,val}/{depth_tar,semseg_tar}/nXXXXXXXX.tar. What is there is written."
    )
    add_options(parser, name="imagenet", published="folder of the archives, or of train/ and val/")
    parser.add_argument(
        "--val-classes",
        type=Path,
        metavar="FILE",
        help=f"{KIT}.tar.gz, or a WordNet id a line (default: the kit in --from), for validation images in no folders",
    )


def run(args: argparse.Namespace) -> int:
    """Take out what is not there yet; return the exit status."""
    source = images_and_labels(args.published, out=args.out, val_classes=args.val_classes)
    return convert(source, name="imagenet", arguments=args)


def images_and_labels(published: Path, *, out: Path, val_classes: Path | None = None) -> Unpacking:
    """List all images and pseudo labels that are there."""
    listed, left_out = list[Files](), Counter[str]()
    for split, modality, label, found in _by_class(published):
        counts = partial(_counts, modality, left_out)
        listed += files(found, output=partial(_below, f"{split}/{modality}/{label}", counts), out=out)
    for found in _flat_validation(published):
        of_class = partial(_of_class, _classes(published, val_classes), partial(_counts, "rgb", left_out))
        listed += files(found, output=of_class, out=out)
    if not listed:
        raise DataNotFoundError(
            f"{published} holds neither {TRAIN} nor {VAL}, neither {{train,val}}/nXXXXXXXX/ nor pseudo labels.\n"
            f"{SPEC.how_to_get}"
        )
    about = Provenance(
        dataset=SPEC.name,
        source=str(published.absolute()),
        decisions=("files kept as published",),
        units=UNITS,
        left_out=dict(left_out),
    )
    return Unpacking(about=about, listed=listed)


def _by_class(published: Path) -> Iterator[tuple[str, str, str, Contents]]:
    """Yield split, modality and class with their files."""
    yield from (("train", "rgb", *found) for found in _tars_in(published / TRAIN))
    for split in ("train", "val"):
        for folder in (published / split, published / split / "rgb"):
            yield from ((split, "rgb", *found) for found in _classes_in(folder))
        for modality, archives in LABEL_ARCHIVES.items():
            yield from ((split, modality, *found) for found in _classes_in(published / split / archives))


def _tars_in(archive: Path) -> Iterator[tuple[str, Contents]]:
    """Yield the classes of the tars in a tar."""
    if not archive.is_file():
        return
    outer = contents_of_tar(archive)
    for inner in outer.members:
        if CLASS.fullmatch(PurePosixPath(inner.path).stem):
            yield PurePosixPath(inner.path).stem, contents_of_tar(archive, inner=inner)
    if outer.damage:
        yield "", Contents(source=archive, name=outer.name, members=(), damage=outer.damage)


def _classes_in(folder: Path) -> Iterator[tuple[str, Contents]]:
    """Yield the classes that are folders or tars in a folder."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            is_class = CLASS.fullmatch(path.stem) is not None
            if is_class and (path.is_dir() or path.suffix == ".tar"):
                yield path.stem, contents(path)


def _flat_validation(published: Path) -> Iterator[Contents]:
    """Yield the validation images that lie in no class folder."""
    for source in (published / VAL, published / "val"):
        if source.exists():
            found = contents(source)
            if found.damage or any(_counts("rgb", Counter(), member) for member in found.members):
                yield found


def _classes(published: Path, chosen: Path | None) -> Mapping[str, str]:
    path = chosen or find_classes(published)
    if path is None or not path.exists():
        raise DataNotFoundError(
            f"{path or published} has not the classes of the validation images; put {KIT}.tar.gz there, or pass it, or "
            "a list of their WordNet ids, as --val-classes"
        )
    return validation_classes(path)


def _counts(modality: str, left_out: Counter[str], member: Member) -> bool:
    """Say whether a file counts; note why it does not."""
    reason = why_not_in(member.path, reads=endings_of(modality))
    if reason is not None:
        left_out[REASONS[reason].said] += 1
    return reason is None


def _below(folder: str, counts: Callable[[Member], bool], member: Member) -> str | None:
    return f"{folder}/{member.name}" if counts(member) else None


def _of_class(classes: Mapping[str, str], counts: Callable[[Member], bool], member: Member) -> str | None:
    stem = PurePosixPath(member.name).stem
    if not counts(member):
        return None
    if stem not in classes:
        raise DataError(f"no class is listed for the validation image {member.path}; the list is not complete")
    return f"val/rgb/{classes[stem]}/{member.name}"

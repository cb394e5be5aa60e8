"""Pack a data set into shards that are read fast."""

import argparse
from pathlib import Path

from multimae.data.arrangements import FOLDERS, SPLITS
from multimae.data.open import find_root
from multimae.data.spec import spec
from multimae.options import whole
from multimae.packing.source import PackSource
from multimae.prepare.command import convert
from multimae.processes import num_cores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `multimae data pack`."""
    parser.add_argument("name", type=_dataset, metavar="NAME", help="the data set: a module of multimae/data")
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR", help="the plain files, as in a sweep")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="to be passed as --data-root")
    parser.add_argument(
        "--store-size", type=whole(1), metavar="N", help="shrink the shorter side to N (default: keep all pixels)"
    )
    parser.add_argument(
        "--jpeg-quality",
        type=whole(1, up_to=100),
        default=90,
        metavar="Q",
        help="of shrunk photographs (default %(default)s)",
    )
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=(), help="default: all there are")
    parser.add_argument(
        "--modalities", nargs="+", choices=FOLDERS, metavar="M", default=(), help="default: all there are"
    )
    parser.add_argument("--workers", type=whole(1), default=num_cores(), help="processes (default: all cores)")


def run(args: argparse.Namespace) -> int:
    """Pack what is not there yet; return the exit status."""
    source = PackSource(
        root=find_root(args.data_root, spec(args.name)),
        dataset=args.name,
        splits=tuple(args.splits),
        modalities=tuple(args.modalities),
        store_size=args.store_size,
        jpeg_quality=args.jpeg_quality,
    )
    return convert(source, name=f"pack {args.name}", arguments=args)


def _dataset(name: str) -> str:
    try:
        return spec(name).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

"""The options that describe a labelling on a command line."""

import argparse
from pathlib import Path

from multimae.options import whole
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.pseudo_labels.sources import find_source

MODALITIES = ("depth", "semseg", "normal")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `settings_of` reads."""
    parser.add_argument("--rgb", type=Path, required=True, metavar="DIR", help="the images, at any depth below DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="labels: DIR/{prefix}{modality}/...")
    model = "a folder or hub id of transformers, or a run directory of this project"
    parser.add_argument("--depth", metavar="MODEL", help=model)
    parser.add_argument("--semseg", metavar="MODEL", help=model)
    parser.add_argument("--normal", metavar="MODEL", help="a run directory of this project")
    parser.add_argument("--prefix", default="pseudo_", metavar="TEXT", help='default: pseudo_; "" for none')
    parser.add_argument("--overwrite", action="store_true", help="remove labels of another network first")
    how = parser.add_argument_group("how")
    how.add_argument("--batch-size", type=whole(1), default=8, metavar="N", help="images a network sees at a time (8)")
    how.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    how.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    how.add_argument(
        "--min-side", type=whole(1), metavar="N", help="shorter side, at least (default: the network's own)"
    )
    how.add_argument("--max-side", type=whole(1), metavar="N", help="longer side, at most (default: none; see README)")
    how.add_argument(
        "--depth-output",
        choices=("metres", "relative", "inverse"),
        help="what the depth network predicts, where it does not say",
    )


def settings_of(args: argparse.Namespace) -> LabellingSettings:
    """Return the settings that the command line means; networks are found, or downloaded, here."""
    models = {modality: getattr(args, modality) for modality in MODALITIES if getattr(args, modality)}
    return LabellingSettings(
        rgb_dir=args.rgb.resolve(),
        out_dir=args.out.resolve(),
        sources={modality: find_source(model) for modality, model in models.items()},
        prefix=args.prefix,
        batch_size=args.batch_size,
        device=args.device,
        precision=args.precision,
        min_side=args.min_side,
        max_side=args.max_side,
        depth_output=args.depth_output,
    )

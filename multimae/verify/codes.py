"""What the codes of all files together say about how they were written. Free of torch."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from multimae.data.arrangements import modality_of
from multimae.data.decode import kind_of
from multimae.data.outliers import Outlier, outlying_codes
from multimae.data.spec import DatasetSpec
from multimae.verify.findings import Finding
from multimae.verify.palettes import odd_palettes
from multimae.verify.tallies import Place, Tally

MOST_LISTED = 12
MIN_SEEN = 0.9
"""The share of the other classes that has to be seen before the absence of the last says how labels are counted."""


def odd_codes(
    tallies: Mapping[Place, Tally], *, num_files: Mapping[Place, int], described: DatasetSpec
) -> Iterator[Finding]:
    """Yield what no single map tells; `num_files` counts those that there are, looked at or not."""
    for (split, folder), tally in tallies.items():
        if kind_of(modality_of(folder)) == "depth":
            for found in outlying_codes(tally.pixels, maps=tally.maps):
                detail = _of_outlier(found, num_maps=tally.num_maps)
                yield Finding(kind="outlying_depth", split=split, modality=folder, detail=detail)
    own = {split: tally for (split, folder), tally in tallies.items() if folder == "semseg"}
    if own and described.classes:
        whole = {split for split, tally in own.items() if tally.num_maps == num_files[split, "semseg"]}
        yield from _counted_from_zero(list(own.values()), described=described)
        yield from _never("train", own, whole=whole, described=described)
        yield from _never("test", own, whole=whole, described=described)
    for folder in dict.fromkeys(folder for _, folder in tallies if kind_of(modality_of(folder)) == "labels"):
        yield from odd_palettes(
            {split: tally for (split, name), tally in tallies.items() if name == folder},
            folder=folder,
            described=described if folder == "semseg" else None,
        )


def _of_outlier(found: Outlier, *, num_maps: int) -> str:
    end = f"{'end' if found.rest < found.code else 'begin'} at {found.rest}"
    return (
        f"{found.code} in {100 * found.share:.2g} % of the pixels, in {found.num_maps} of {num_maps} maps looked at; "
        f"all others but a thousandth {end}"
    )


def _counted_from_zero(tallies: Sequence[Tally], *, described: DatasetSpec) -> Iterator[Finding]:
    """Yield a finding where the last class never occurs, nearly all others do, and so does what means unlabelled."""
    last = described.num_classes
    if described.first_label == 0 or described.label_map or last < 2:
        return
    pixels = np.sum([tally.pixels for tally in tallies], axis=0)
    others = int((pixels[1:last] > 0).sum())
    if pixels[0] and not pixels[last] and others >= MIN_SEEN * (last - 1):
        num_maps = sum(tally.num_maps for tally in tallies)
        detail = (
            f"in {num_maps} files looked at {last} ({described.classes[-1]}) never occurs, of the labels below "
            f"{others} of {last - 1} do, and 0 in {100 * pixels[0] / pixels.sum():.2g} % of the pixels: is 0 "
            f"{described.classes[0]}, and not unlabelled?"
        )
        yield Finding(kind="counted_from_zero", modality="semseg", detail=detail)


def _never(split: str, tallies: Mapping[str, Tally], *, whole: set[str], described: DatasetSpec) -> Iterator[Finding]:
    """Yield the classes that no file of a split has, where all of them were looked at."""
    if split not in whole:
        return
    has = {name: tally.pixels[1 : described.num_classes + 1] > 0 for name, tally in tallies.items()}
    never = np.flatnonzero(~has[split]).tolist()
    if not never or len(never) == described.num_classes:
        return
    other = "test" if split == "train" else "train"
    elsewhere = [index for index in never if other in has and has[other][index]]
    detail = f"{len(never)} of {described.num_classes} in {tallies[split].num_maps} files: {_names(never, described)}"
    detail += f"; {other} has {_names(elsewhere, described)}" if elsewhere else ""
    yield Finding(kind=f"never_{split}ed", split=split, modality="semseg", detail=detail)


def _names(indices: Sequence[int], described: DatasetSpec) -> str:
    names = [described.classes[index] for index in indices[:MOST_LISTED]]
    return ", ".join(names) + (f" and {len(indices) - MOST_LISTED} more" if len(indices) > MOST_LISTED else "")

"""Whether the palettes of label files agree with their codes. Free of torch.

Programs that shrink PNGs keep every pixel's colour and renumber the palette: of labels they keep what nobody reads.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from multimae.data.spec import RGB, DatasetSpec
from multimae.verify.findings import Finding
from multimae.verify.tallies import Tally

Colours = Mapping[int, RGB]
BLACK: RGB = (0, 0, 0)


def odd_palettes(tallies: Mapping[str, Tally], *, folder: str, described: DatasetSpec | None) -> Iterator[Finding]:
    """Yield the files of a folder whose palette is not that of the most files, or of `described`, in another order."""
    num_files: Counter[bytes] = Counter()
    for tally in tallies.values():
        for (palette, _), names in tally.palettes.items():
            num_files[palette] += len(names)
    num_without = num_files.pop(b"", 0)
    if not num_files:
        return
    common = _colours(max(num_files, key=lambda palette: num_files[palette]))
    wanted = [common, _colours_of_classes(described)] if described and not described.label_map else [common]
    for split, tally in tallies.items():
        for (palette, used), names in tally.palettes.items():
            kind, detail = "without_palette", ""
            if palette:
                own = {code: colour for code, colour in _colours(palette).items() if code in used}
                detail = next((said for reference in wanted if (said := _reordered(own, reference))), "")
                kind = "reordered_palette" if detail else ""
            elif num_without >= num_files.total():
                kind = ""
            if kind:
                yield from (
                    Finding(kind=kind, split=split, modality=folder, name=name, detail=detail) for name in names
                )


def _reordered(own: Colours, reference: Colours) -> str:
    """Say of which colours a file has other codes, if it has all its colours from the reference; else nothing."""
    codes = {colour: code for code, colour in reversed(list(reference.items()))}
    if not set(own.values()) - {BLACK} <= codes.keys():
        return ""
    moved = {
        code: codes[colour]
        for code, colour in own.items()
        if colour in codes and reference.get(code, BLACK if colour == BLACK else None) != colour
    }
    said = ", ".join(f"{code} has the colour of {theirs}" for code, theirs in list(moved.items())[:4])
    return f"{said}{', ...' if len(moved) > 4 else ''}" if moved else ""


def _colours(palette: bytes) -> Colours:
    return {place // 3: (palette[place], palette[place + 1], palette[place + 2]) for place in range(0, len(palette), 3)}


def _colours_of_classes(described: DatasetSpec) -> Colours:
    return dict(enumerate(described.palette, start=described.first_label))

"""Pack rendered rooms into the archive that ships with the package.

The shipped archive is what these two commands give:
  multimae data prepare rooms --out DIR
  python -m multimae.rooms.render.pack DIR
The second prints the digest to keep in multimae/rooms/archive.py and the statistics to keep in
multimae/data/sets/rooms.py. Shipped: Mitsuba 3.9.1, NumPy 2.4.6, Pillow 13.0.0; other versions or another kind of
processor may round a few pixels differently.
"""

import argparse
import hashlib
import json
import lzma
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from multimae.data.files import EXACT, PHOTOGRAPHIC, images_in
from multimae.data.sets.rooms import CLASSES
from multimae.rooms.archive import ARCHIVE, ARCHIVE_FRAMES, FOLDERS

LARGEST_BYTES = 6_000_000
MODIFIED = 1_767_225_600  # 2026-01-01: a fixed date keeps the archive's bytes the same


@dataclass(frozen=True, kw_only=True)
class DepthStatistics:
    """Hold mean and standard deviation over all pixels, in millimetres."""

    mean_mm: float
    std_mm: float


def pack(source: Path, *, archive: Path) -> None:
    """Write the frames of `source` into `archive`; the same frames give the same bytes."""
    check(source)
    data = lzma.compress(tar(source), preset=9)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"the archive would take {len(data)} bytes, wanted at most {LARGEST_BYTES}")
    archive.write_bytes(data)


def tar(source: Path) -> bytes:
    """Put the files of `source` in order, without who wrote them and when."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for path in _files(source):
            data = _stored(path)
            member = tarfile.TarInfo(str(path.relative_to(source)))
            member.size, member.mtime, member.mode = len(data), MODIFIED, 0o644
            writer.addfile(member, BytesIO(data))
    return buffer.getvalue()


def check(source: Path) -> None:
    """Raise unless `source` holds the expected number of frames, with every class in both splits."""
    for split, frames in ARCHIVE_FRAMES.items():
        for folder in FOLDERS:
            found = len(images_in(source / split / folder / "all", reads=PHOTOGRAPHIC))
            if found != frames:
                raise ValueError(f"{source / split / folder} holds {found} files, wanted {frames}; render them first")
        rows = (source / split / "labels.csv").read_text("utf-8").splitlines()[1:]
        if len(rows) != frames:
            raise ValueError(f"{source / split / 'labels.csv'} lists {len(rows)} frames, wanted {frames}")
        missing = [name for name, frames in class_frames(source, split=split).items() if frames == 0]
        if missing:
            raise ValueError(f"no {split} frame shows {', '.join(missing)}; render with another seed")


def class_frames(source: Path, *, split: str) -> dict[str, int]:
    """Count for each class the frames of a split that show it."""
    counts = np.zeros(len(CLASSES) + 1, dtype=np.int64)
    for path in images_in(source / split / "semseg" / "all", reads=EXACT):
        with Image.open(path) as image:
            counts[np.unique(np.array(image))] += 1
    return {name: int(count) for name, count in zip(CLASSES, counts[1:], strict=True)}


def depth_statistics(source: Path) -> DepthStatistics:
    """Measure the training depth."""
    frames = []
    for path in images_in(source / "train" / "depth" / "all", reads=EXACT):
        with Image.open(path) as image:
            frames.append(np.array(image, dtype=np.float64))
    depth = np.stack(frames)
    return DepthStatistics(mean_mm=float(depth.mean()), std_mm=float(depth.std()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder written by `multimae data prepare rooms`")
    parser.add_argument("archive", type=Path, nargs="?", default=ARCHIVE, help="default: %(default)s")
    args = parser.parse_args()
    try:
        pack(args.source, archive=args.archive)
    except (ValueError, OSError) as error:
        print(f"multimae.rooms.render.pack: {error}", file=sys.stderr)
        return 1
    data, statistics = args.archive.read_bytes(), depth_statistics(args.source)
    print(f"{args.archive}: {len(data)} bytes")
    print(f'ARCHIVE_SHA256 = "{hashlib.sha256(data).hexdigest()}"')
    print(f"depth_mean_mm={statistics.mean_mm:.1f}, depth_std_mm={statistics.std_mm:.1f}")
    for split in ARCHIVE_FRAMES:
        print(f"frames showing each class, {split}: {json.dumps(class_frames(args.source, split=split))}")
    return 0


def _stored(path: Path) -> bytes:
    """Read a file; PNGs become uncompressed ones, of which xz makes a tenth less than of deflated ones."""
    if path.suffix != ".png":
        return path.read_bytes()
    buffer = BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def _files(source: Path) -> list[Path]:
    folders = [source / split / folder / "all" for split in ARCHIVE_FRAMES for folder in FOLDERS]
    tables = [source / "classes.json", *(source / split / "labels.csv" for split in ARCHIVE_FRAMES)]
    return [*tables, *(path for folder in folders for path in images_in(folder, reads=PHOTOGRAPHIC))]


if __name__ == "__main__":
    sys.exit(main())

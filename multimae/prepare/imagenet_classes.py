"""Which class each validation image of ImageNet is of: from the development kit, or from a list."""

import re
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from multimae.data.sample import DataError, DataNotFoundError

KIT = "ILSVRC2012_devkit_t12"
TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
WNID, IMAGE = re.compile(r"\bn\d{8}\b"), re.compile(r"\bILSVRC2012_val_\d{8}\b")


def validation_classes(path: Path) -> Mapping[str, str]:
    """Return the WordNet id of every image by its name, ILSVRC2012_val_00000001 and so on.

    `path` is the kit, as an archive or a folder, or a text of one WordNet id a line, with or without the image's name;
    without, line i is image i.
    """
    if path.is_dir() or path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return _of_kit(path)
    classes = dict[str, str]()
    for line in path.read_text("utf-8").splitlines():
        if (wnid := WNID.search(line)) is not None:
            image = IMAGE.search(line)
            classes[image[0] if image else _image(len(classes) + 1)] = wnid[0]
    if not classes:
        raise DataError(f"{path} names no class such as n01440764; wanted one a line, with or without the image's name")
    return classes


def find_classes(published: Path) -> Path | None:
    """Return the kit or the list that lies beside the archives."""
    names = (f"{KIT}.tar.gz", KIT, "LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt")
    return next((published / name for name in names if (published / name).exists()), None)


def _of_kit(path: Path) -> Mapping[str, str]:
    from scipy.io import loadmat

    truth, meta = (_file_of_kit(path, name) for name in (TRUTH, META))
    try:
        file: Any = BytesIO(meta)
        synsets = loadmat(file, squeeze_me=True)["synsets"]
        wnids = {int(number): str(wnid) for number, wnid in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)}
        return {_image(index): wnids[int(number)] for index, number in enumerate(truth.split(), start=1)}
    except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
        raise DataError(f"{path}: {TRUTH} and {META} do not fit: {error}; download the kit again") from error


def _file_of_kit(path: Path, name: str) -> bytes:
    if path.is_dir():
        found = next(path.rglob(name), None)
        if found is None:
            raise DataNotFoundError(f"{path} has no {name}; take it from {KIT}.tar.gz")
        return found.read_bytes()
    try:
        with tarfile.open(path) as archive:
            for info in archive:
                stream = archive.extractfile(info) if Path(info.name).name == name else None
                if stream is not None:
                    return stream.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read: {error}; download it again") from error
    raise DataNotFoundError(f"{path} has no {name}; it is not {KIT}.tar.gz")


def _image(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}"

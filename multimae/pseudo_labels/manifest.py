"""What a folder of labels says about itself, so that labels of two networks never mix. Free of torch.

`manifest.json` is written before the first label; `num_files` is null until all are there.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from multimae.data.files import EXACT, images_below
from multimae.engine.failures import SettingsError
from multimae.record.files import read_json, write_json

NAME = "manifest.json"


def make_room(folder: Path, *, model: str, identity: Mapping[str, Any], others: Literal["refuse", "replace"]) -> None:
    """Raise SettingsError if a folder holds labels of another identity, or take those away.

    Files that no manifest vouches for are never taken away: they may have been measured.
    """
    recorded = read_manifest(folder)
    if recorded is None:
        if stray := _labels(folder):
            raise SettingsError(
                f"{folder} holds files that were not written here, such as {stray[0]} (there is no {NAME}): choose "
                "another --prefix or --out, or move them away"
            )
        return
    if not (changes := _differences(recorded, identity)):
        return
    if others == "refuse":
        raise SettingsError(
            f"{folder} holds labels of {recorded['model']}, wanted {model}: {'; '.join(changes)}. Choose another --out "
            "or --prefix, or pass --overwrite to remove them"
        )
    # Out of the way at once, so that a kill while the files are removed leaves no mixture.
    doomed = folder.with_name(f".{folder.name}-replaced-{os.getpid()}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def claim(folder: Path, *, manifest: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Write the manifest of a folder that has none; another process may be doing the same."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{NAME}.{os.getpid()}"
    write_json(fresh, {**manifest, **identity, "num_files": None})
    try:
        os.link(fresh, folder / NAME)  # unlike a rename, it fails where there is one
    except FileExistsError:
        make_room(folder, model=manifest["model"], identity=identity, others="refuse")
    finally:
        fresh.unlink()


def complete(folder: Path) -> int:
    """Count a folder's labels, note their number in its manifest and return it."""
    recorded = read_manifest(folder) or {}
    count = len(_labels(folder))
    if recorded.get("num_files") != count:
        write_json(folder / NAME, {**recorded, "num_files": count})
    return count


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return a folder's manifest, None where there is none."""
    return read_json(folder / NAME)


def _labels(folder: Path) -> list[str]:
    return images_below(folder, reads=EXACT)[0] if folder.is_dir() else []


def _differences(recorded: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    then, now = _flat(recorded), _flat(identity)
    return [f"{name} is {then.get(name)}, wanted {value}" for name, value in now.items() if then.get(name) != value]


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {"weights_sha256": str(identity["weights_sha256"])[:12], **identity["settings"]}

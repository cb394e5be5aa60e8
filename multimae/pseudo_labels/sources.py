"""Where a labelling network comes from: a model of `transformers` or a run of this project. Free of torch."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from multimae.data.sample import DataError, DataNotFoundError
from multimae.record.paths import CheckpointDir, RunDir

HUB_FILES = ("*.json", "*.txt", "*.model")
WEIGHT_FILES = ("*.safetensors", "*.bin")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, kw_only=True)
class LabelSource:
    """A network that is at hand: `model` as the user named it, its files, and the hash of those with its weights."""

    model: str
    kind: Literal["transformers", "run"]
    folder: Path
    sha256: str


def find_source(model: str) -> LabelSource:
    """Find, or download, the network that the user named."""
    try:
        folder = Path(model).expanduser()
    except RuntimeError as error:
        raise DataError(f"{model}: there is no such home folder; write the folder's whole path") from error
    if not folder.is_dir():
        _require_transformers(model)
        folder = _download(model)
    if RunDir(folder).config.is_file() and RunDir(folder).run.is_file():
        checkpoint = _checkpoint_of_finished(folder)
        return LabelSource(model=model, kind="run", folder=folder.resolve(), sha256=sha256_of([checkpoint]))
    if (folder / "config.json").is_file():
        _require_transformers(model)
        return LabelSource(
            model=model, kind="transformers", folder=folder.resolve(), sha256=sha256_of(_weights(folder))
        )
    raise DataError(
        f"{folder} holds no network: wanted config.json and *.safetensors, as transformers saves a model, or config.py "
        "and run.json, a run directory of this project"
    )


def sha256_of(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the files' contents one after the other, as `cat FILES | sha256sum` gives it."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _checkpoint_of_finished(run_dir: Path) -> Path:
    files = RunDir(run_dir)
    checkpoint = CheckpointDir(files.checkpoints).last
    if not files.result.is_file() or not checkpoint.is_file():
        raise DataError(f"the run {run_dir} is not finished: wanted its result.json and {checkpoint}; let it end first")
    return checkpoint


def _weights(folder: Path) -> list[Path]:
    for pattern in WEIGHT_FILES:
        if files := sorted(folder.glob(pattern)):
            return files
    raise DataError(f"{folder} has a config.json but none of {', '.join(WEIGHT_FILES)}; save the model's weights there")


def _require_transformers(model: str) -> None:
    if find_spec("transformers") is None:
        raise DataError(f"the network {model!r} needs transformers, which is missing: pip install 'multimae[labels]'")


def _download(model: str) -> Path:
    """Return the folder of a model of the Hugging Face hub, from its cache where it is whole there."""
    if not _HUB_ID.fullmatch(model):
        raise DataNotFoundError(f"no folder {model}, and that is no id of the hub, such as organisation/name, either")
    from huggingface_hub import snapshot_download

    try:
        for pattern in WEIGHT_FILES:
            folder = Path(snapshot_download(model, allow_patterns=[*HUB_FILES, pattern]))
            if any(folder.glob(pattern)):
                return folder
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise DataNotFoundError(
            f"there is no folder {model}, and the hub gave no model of that id ({type(error).__name__}: {said}); check "
            "the name and the connection, or download it elsewhere and pass its folder"
        ) from error
    raise DataError(f"the hub's {model} has no weights in {' or '.join(WEIGHT_FILES)}")

"""Sample predictions as small pictures inside the page itself (data URIs)."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from reports.read.results import ReportedRun, inputs_order, join_inputs
from reports.say import words

MAX_SAMPLES, FEW_SAMPLES = 5, 2
MAX_WIDTH = 240
MAX_LABEL_COLOURS = 64
_SHARED = ("rgb", "depth", "target")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`uri` is empty where the file is missing; `head` and `text` then say of what."""

    uri: str
    head: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Rows are samples, columns what was put in, what was wanted and what each run made of it."""

    heads: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[Picture, ...], ...]
    seed: int


def transfer_gallery(runs: Sequence[ReportedRun], *, max_samples: int = MAX_SAMPLES) -> Gallery | None:
    """Set the predictions of all runs of one task side by side, at the lowest seed that has any."""
    shown = [run for run in runs if _predictions(run)]
    if not shown:
        return None
    seed = min(run.seed for run in shown)
    shown = sorted(
        (run for run in shown if run.seed == seed),
        key=lambda run: (inputs_order(join_inputs(run.inputs)), run.checkpoint),
    )
    names = tuple(_predictions(shown[0]))[:max_samples]
    shared = [kind for kind in _SHARED if any(kind in images for run in shown for images in _predictions(run).values())]
    rows = tuple(
        (*(_shared(shown, kind=kind, name=name) for kind in shared), *_made(shown, name=name)) for name in names
    )
    return Gallery(heads=tuple(picture.head for picture in rows[0]), names=names, rows=rows, seed=seed)


def pretraining_gallery(run: ReportedRun) -> Gallery | None:
    """Show what the pre-training run kept of its samples, whatever pictures it made."""
    predictions = _predictions(run)
    if not predictions:
        return None
    names = tuple(predictions)[:MAX_SAMPLES]
    kinds = tuple(dict.fromkeys(kind for images in predictions.values() for kind in images))
    rows = tuple(
        tuple(_picture(run, path=predictions[name].get(kind, ""), head=_plain(kind), text=name) for kind in kinds)
        for name in names
    )
    return Gallery(heads=tuple(_plain(kind) for kind in kinds), names=names, rows=rows, seed=run.seed)


def data_uri(path: Path) -> str:
    """Shrink a picture and pack it: few colours (label maps) without loss, photographs as JPEG."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    labels = image.getcolors(MAX_LABEL_COLOURS) is not None
    if image.width > MAX_WIDTH:
        size = (MAX_WIDTH, round(image.height * MAX_WIDTH / image.width))
        image = image.resize(size, Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if labels:
        image.save(buffer, "PNG", optimize=True)
        return _uri("png", buffer)
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return _uri("jpeg", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _predictions(run: ReportedRun) -> Mapping[str, Mapping[str, str]]:
    found = run.result.predictions if run.result else ()
    return {drawing.name: drawing.images for drawing in found}


def _shared(runs: Sequence[ReportedRun], *, kind: str, name: str) -> Picture:
    head = {"rgb": "RGB", "depth": "depth", "target": "ground truth"}[kind]
    paths = ((run, _predictions(run).get(name, {}).get(kind, "")) for run in runs)
    owner, path = next(((run, path) for run, path in paths if path), (runs[0], ""))
    return _picture(owner, path=path, head=head, text=f"{head} of {name}")


def _made(runs: Sequence[ReportedRun], *, name: str) -> Iterator[Picture]:
    for run in runs:
        head = f"{words.checkpoint_label(run.checkpoint)}\n{join_inputs(run.inputs)}"
        path = _predictions(run).get(name, {}).get("prediction", "")
        yield _picture(run, path=path, head=head, text=f"prediction of {run.key} for {name}")


def _picture(run: ReportedRun, *, path: str, head: str, text: str) -> Picture:
    file = run.directory / path
    return Picture(uri=data_uri(file) if path and file.is_file() else "", head=head, text=text)


def _plain(kind: str) -> str:
    return kind.replace("_", " ")

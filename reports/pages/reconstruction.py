"""A page on which a reader chooses what a pre-training sees of a few samples, and looks at what it makes of that.

Everything is in the page: the pictures that the job left behind, one for every setting on offer. Free of torch.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from multimae.record.files import read_json, write_text
from multimae.tables.modalities import modality
from reports.pages.templates import environment
from reports.read.results import ReportedRun, SuiteResults
from reports.say import words

FOLDER = Path("artifacts") / "reconstruction"
SCHEMA = 1
LABELS: Mapping[str, str] = MappingProxyType({"rgb": "RGB"})
LOSSES: Mapping[str, str] = MappingProxyType({"mse": "MSE", "l1": "L1", "cross_entropy": "cross-entropy"})
NORMALISED = "norm_"
_MIME_TYPES: Mapping[str, str] = MappingProxyType({".jpg": "image/jpeg", ".png": "image/png"})

Index = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What the page says about itself before anything else; an empty caveat or link back is left out."""

    kind: str
    title: str
    caveat: str
    facts: Mapping[str, str]
    back: str = ""


@dataclass(frozen=True, kw_only=True)
class LossCell:
    """One loss in words; `verdict` compares it with the best constant's: better, worse, or empty if it is no loss."""

    text: str
    note: str = ""
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class CrossModal:
    """Losses of what is predicted from one modality alone, a row of cells each, beside the best constants'."""

    lead: str
    num_images: int
    heads: tuple[str, ...]
    rows: Mapping[str, tuple[LossCell, ...]]


def write_pages(results: SuiteResults, *, report_dir: Path) -> dict[str, str]:
    """Write `reconstruction-<key>.html` for every finished pre-training that left pictures; return names by key."""
    written = {}
    for run in results.runs:
        index = read_index(run.directory) if run.pretraining and run.result else None
        if index is not None:
            written[run.key] = f"reconstruction-{run.key}.html"
            page = render_page(index, folder=run.directory / FOLDER, heading=_heading(run, index=index))
            write_text(report_dir / written[run.key], page)
    return written


def read_index(run_dir: Path) -> Index | None:
    """Return what a pre-training left to look at; None where it left nothing, or what only another version reads."""
    index: Index | None = read_json(run_dir / FOLDER / "index.json")
    return index if index and index["schema"] == SCHEMA else None


def render_page(index: Index, *, folder: Path, heading: Heading) -> str:
    """Return the whole page as HTML text; the files that the index names lie in `folder`."""
    template = environment().get_template("reconstruction.html.j2")
    return template.render(
        heading=heading,
        index=index,
        label=label,
        dataset=words.dataset_label(index["dataset"]),
        cross_modal=_cross_modal(index),
        payload=_payload(index, folder=folder),
    )


def label(output: str) -> str:
    """Name a modality, or an output that predicts one, in a sentence."""
    name = output.removeprefix(NORMALISED)
    return LABELS.get(name, name) if name == output else f"normalised {LABELS.get(name, name)}"


def _heading(run: ReportedRun, *, index: Index) -> Heading:
    facts = {
        "Data set": words.dataset_label(index["dataset"]),
        "Model": run.described.size,
        "Trained for": words.count(run.steps, "step"),
        "Reads": ", ".join(label(name) for name in index["settings"]["modalities"]),
        "Visible in training": f"{index['num_visible_tokens']} of {_num_tokens(index)} tokens",
    }
    return Heading(
        kind=run.key,
        title="What the pre-training has learned",
        caveat=words.dataset_caveat(index["dataset"]),
        facts=facts,
        back="index.html",
    )


def _num_tokens(index: Index) -> int:
    height, width = index["grid"]
    return int(height * width * len(index["settings"]["modalities"]))


def _payload(index: Index, *, folder: Path) -> dict[str, Any]:
    """Return what the page's script needs: the index with the pictures themselves for their files' names."""
    columns = [
        {
            **column,
            "label": label(column["name"]),
            "sheets": [_uri(folder / sheet["file"]) for sheet in column["sheets"]],
        }
        for column in index["columns"]
    ]
    settings = index["settings"]
    # Where a modality is missing, what is there says most about the others when all of it is visible.
    whole = len(settings["given"]) == len(settings["modalities"])
    start = index["num_visible_tokens"] if whole else settings["numbers"][-1]
    names = ("settings", "grid", "ranks", "sheet_columns", "depth_colours")
    return {**{name: index[name] for name in names}, "columns": columns, "start": start}


def _uri(path: Path) -> str:
    return f"data:{_MIME_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _cross_modal(index: Index) -> CrossModal | None:
    """Lay out the losses; None where they were not measured, or where nothing is predicted from anything else."""
    scores = index.get("cross_modal")
    if not scores or not any(scores["alone"].values()):
        return None
    outputs = [name for name in scores["constant"] if any(name in losses for losses in scores["alone"].values())]
    constant = scores["constant"]
    rows = {
        f"{label(source)} alone": tuple(
            _cell(losses[name], constant=constant[name]) if name in losses else LossCell(text="", note="given")
            for name in outputs
        )
        for source, losses in scores["alone"].items()
    }
    random = f"{index['num_visible_tokens']} of {_num_tokens(index)} tokens, as in training"
    rows[random] = tuple(_cell(scores["masked"][name], constant=constant[name]) for name in outputs)
    rows["nothing: the best constant"] = tuple(LossCell(text=_number(constant[name])) for name in outputs)
    return CrossModal(
        lead=_lead(scores), num_images=scores["num_images"], heads=tuple(_head(name) for name in outputs), rows=rows
    )


def _cell(loss: float | None, *, constant: float | None) -> LossCell:
    if loss is None or constant is None:
        return LossCell(text=_number(loss))
    note = f"{100 * (loss / constant - 1):+.0f} %".replace("-", "−") if constant else ""
    return LossCell(text=_number(loss), note=note, verdict="better" if loss < constant else "worse")


def _lead(scores: Mapping[str, Any]) -> str:
    """Say which predictions from one modality alone beat the best constant, and which do not."""
    compared = {
        f"{label(output)} from {label(source)}": _cell(loss, constant=scores["constant"][output])
        for source, losses in scores["alone"].items()
        for output, loss in losses.items()
    }
    said = {
        verdict: ", ".join(f"{name} ({cell.note})" for name, cell in compared.items() if cell.verdict == verdict)
        for verdict in ("better", "worse")
    }
    better = f"Better than the best constant: {said['better'] or 'nothing'}."
    return f"{better} Not better: {said['worse']}." if said["worse"] else better


def _head(output: str) -> str:
    """Name an output with its loss."""
    loss = modality(output.removeprefix(NORMALISED)).loss
    return f"{label(output)}, {LOSSES[loss]}"


def _number(loss: float | None) -> str:
    return "diverged" if loss is None else f"{loss:.3f}"

"""What a pre-training makes of a few samples under many settings of visible tokens, as pictures and one index."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.colors import to_hex
from mmengine.dataset import default_collate
from torch import Tensor

from multimae.data.folder import MultiModalFolder
from multimae.data.labels import LabelCode, label_code
from multimae.data.pipelines.pipeline import Example
from multimae.data.spec import DatasetSpec, spec
from multimae.evaluation.reconstruction import MASK_SEED, score_reconstruction
from multimae.layers import Grid, fold_patches, unfold_patches
from multimae.pictures.budgets import Budget, Settings, make_settings
from multimae.pictures.colours import COLOUR_MAP, depth_range
from multimae.pictures.predictions import NUM_PICTURES
from multimae.pictures.sheets import SHEET_COLUMNS, HeightWidth, cell_size, shrink_to_cell, write_sheet
from multimae.pretraining import MultiMAEPretraining
from multimae.record.files import write_json
from multimae.shapes import Float, Int
from multimae.tables.modalities import modality

INDEX_NAME = "index.json"
NUM_SCORED = 80
BATCH_SIZE = 64
MIN_SHARE_IN_LEGEND = 0.002
Maps = Mapping[str, Tensor]
Ranks = Mapping[str, Int[Tensor, "sample tokens"]]


@dataclass(frozen=True, kw_only=True)
class ShownModality:
    """One modality of all samples, to be shown in cells of `size`.

    `target` is None where it is unknown. `output` predicts it, empty if nothing does.
    """

    name: str
    target: Tensor | None
    output: str
    size: HeightWidth
    grid: Grid

    def targets(self) -> Tensor | None:
        """Return the targets in cells."""
        return None if self.target is None else shrink_to_cell(self.name, self.target, size=self.size)

    def predictions(self, maps: Float[Tensor, "batch _ height width"]) -> Tensor:
        """Return predictions for the samples, all of them any number of times, in cells.

        An output of normalised patches is given the mean and the contrast of each patch of the target.
        """
        if modality(self.name).kind == "labels":
            return shrink_to_cell(self.name, maps.argmax(dim=1), size=self.size)
        if self.output != self.name and self.target is not None:
            patch_size = maps.shape[-1] // self.grid.width
            wanted = unfold_patches(self.target, patch_size=patch_size)
            wanted = wanted.repeat(maps.shape[0] // wanted.shape[0], 1, 1)
            patches = unfold_patches(maps, patch_size=patch_size)
            patches = patches * wanted.std(dim=-1, keepdim=True) + wanted.mean(dim=-1, keepdim=True)
            maps = fold_patches(patches, grid=self.grid, patch_size=patch_size)
        return shrink_to_cell(self.name, maps, size=self.size)


def save_exploration(model: MultiMAEPretraining, job: Any, *, folder: Path) -> None:
    """Explore a few test samples, score predictions from one modality alone, and write both into `folder`.

    Only samples that have every modality can be shown under every setting; where there are none, nothing is written.
    """
    item = job.evaluations[0]
    shown = complete_examples(item, limit=NUM_PICTURES)
    if not shown:
        return
    scored = complete_examples(item, limit=NUM_SCORED)
    size = item.dataloader.batch_size
    batches = [default_collate(scored[start : start + size]) for start in range(0, len(scored), size)]
    model.eval()
    index = explore(model, shown, facts=spec(job.dataset), folder=folder)
    index["cross_modal"] = {"num_images": len(scored), **score_cross_modal(model, batches)}
    write_json(folder / INDEX_NAME, index)


def complete_examples(item: Any, *, limit: int) -> list[Example]:
    """Return those of an evaluation's samples, `limit` at most, that lack nothing."""
    described = {key: value for key, value in item.dataloader.dataset.items() if key != "type"}
    dataset = MultiModalFolder(**{**described, "limit": limit})
    examples = (dataset[number] for number in range(len(dataset)))
    return [example for example in examples if all(example["meta"].get("available", {}).values())]


@torch.no_grad()
def explore(
    model: MultiMAEPretraining, examples: Sequence[Example], *, facts: DatasetSpec, folder: Path
) -> dict[str, Any]:
    """Write a sheet per sample and modality into `folder`, and return what a page needs to know about them.

    A sheet holds the target, black where it is unknown, then the predictions in the order of the settings' budgets.
    Inputs that the examples lack are never visible.
    """
    data = model.data_preprocessor(default_collate(list(examples)), False)
    inputs = _with_stand_ins(data["inputs"], model=model)
    grid = model.backbone.grid(inputs)
    num_tokens = dict.fromkeys(model.backbone.modalities, grid.num_tokens)
    settings = make_settings(
        num_tokens,
        given=[name for name in num_tokens if name in data["inputs"]],
        num_visible_tokens=model.sampler.num_visible_tokens,
    )
    ranks = draw_ranks(num_tokens, num_samples=len(examples))
    columns = _columns(model, known={**data["inputs"], **data["targets"]}, grid=grid)
    predictions = _predict(model, inputs, columns=columns, settings=settings, ranks=ranks)
    return {
        "schema": 1,
        "dataset": facts.name,
        "samples": list(data["meta"]["name"]),
        "num_visible_tokens": model.sampler.num_visible_tokens,
        "grid": list(grid),
        "settings": asdict(settings),
        "ranks": {name: own.tolist() for name, own in ranks.items()},
        "depth_colours": [to_hex(colour) for colour in matplotlib.colormaps[COLOUR_MAP](range(256))],
        "sheet_columns": SHEET_COLUMNS,
        "columns": [
            _write_column(column, predictions.get(column.name), num_samples=len(examples), facts=facts, folder=folder)
            for column in columns
        ],
    }


def draw_ranks(num_tokens: Mapping[str, int], *, num_samples: int) -> Ranks:
    """Return each token's place in a random order of its modality's tokens, the same at every call.

    A token is visible where its rank is below the budget of its modality: what is visible under a budget stays visible
    under a larger one.
    """
    generator = torch.Generator().manual_seed(MASK_SEED)
    return {
        name: torch.stack([torch.randperm(number, generator=generator) for _ in range(num_samples)])
        for name, number in num_tokens.items()
    }


@torch.no_grad()
def score_cross_modal(model: MultiMAEPretraining, batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the losses of what is predicted from one modality alone: all its tokens visible, none of the others.

    Beside them, for the same images, those of the best constants and those under the masks of the pre-training.
    """
    scores = score_reconstruction(model, batches)
    found: dict[str, dict[str, list[Tensor]]] = {
        source: {name: [] for name, target in model.targets.items() if target.name != source}
        for source in model.backbone.modalities
    }
    for batch in batches:
        data = model.data_preprocessor(dict(batch), False)
        tokens = (len(data["meta"]["name"]), model.backbone.grid(data["inputs"]).num_tokens)
        for source, losses in found.items():
            masks = {name: torch.full(tokens, name != source) for name in model.backbone.modalities}
            result = model.reconstruct(data["inputs"], targets=data["targets"], masks=masks)
            for name, values in losses.items():
                values.append(result.losses[name])
    alone = {
        source: {name: float(torch.cat(values).nanmean()) for name, values in losses.items()}
        for source, losses in found.items()
    }
    prefix = "loss_"
    return {
        "constant": {name.removeprefix(prefix): _finite(value) for name, value in scores.baseline.items()},
        "masked": {name.removeprefix(prefix): _finite(value) for name, value in scores.metrics.items()},
        "alone": {source: {name: _finite(value) for name, value in own.items()} for source, own in alone.items()},
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _with_stand_ins(inputs: Maps, *, model: MultiMAEPretraining) -> Maps:
    """Add blank maps for the inputs of a model that are not given; they must stay hidden."""
    given, maps = next(iter(inputs.items()))
    height, width = (length * modality(given).stride_level for length in maps.shape[-2:])
    blank = {}
    for facts in map(modality, model.backbone.modalities):
        size = (height // facts.stride_level, width // facts.stride_level)
        if facts.kind == "labels":
            blank[facts.name] = maps.new_zeros((maps.shape[0], *size), dtype=torch.long)
        else:
            blank[facts.name] = maps.new_zeros((maps.shape[0], facts.num_channels, *size), dtype=torch.float32)
    return {**blank, **inputs}


def _columns(model: MultiMAEPretraining, *, known: Maps, grid: Grid) -> list[ShownModality]:
    """List the modalities that are known or predicted, inputs first."""
    outputs = {target.name: name for name, target in model.targets.items() if name != target.name}
    outputs |= {name: name for name, target in model.targets.items() if name == target.name}
    names = dict.fromkeys([*model.backbone.modalities, *outputs])
    return [
        ShownModality(
            name=name,
            target=known.get(name),
            output=outputs.get(name, ""),
            size=cell_size(name, grid=grid, patch_size=model.backbone.patch_size),
            grid=grid,
        )
        for name in names
        if name in known or outputs.get(name) == name
    ]


def _predict(
    model: MultiMAEPretraining, inputs: Maps, *, columns: Sequence[ShownModality], settings: Settings, ranks: Ranks
) -> dict[str, Tensor]:
    """Return per modality the pictures of every setting and sample: [setting, sample, ...]."""
    num_samples = next(iter(ranks.values())).shape[0]
    predicted = [column for column in columns if column.output]
    found: dict[str, dict[Budget, Tensor]] = {column.name: {} for column in predicted}
    for budgets in _batches(settings.budgets, size=max(1, BATCH_SIZE // num_samples)):
        masks = {
            name: torch.cat([own >= budget[place] for budget in budgets])
            for place, (name, own) in enumerate(ranks.items())
        }
        repeated = {name: maps.repeat(len(budgets), *(1,) * (maps.dim() - 1)) for name, maps in inputs.items()}
        maps = model.reconstruct(repeated, masks=masks).predictions
        for column in predicted:
            pictures = column.predictions(maps[column.output])
            # [budget * sample, ...] -> [budget, sample, ...]
            rows = pictures.view(len(budgets), num_samples, *pictures.shape[1:])
            found[column.name] |= dict(zip(budgets, rows, strict=True))
    return {name: torch.stack([own[budget] for budget in settings.budgets]) for name, own in found.items()}


def _batches(budgets: Sequence[Budget], *, size: int) -> Iterator[list[Budget]]:
    """Yield budgets that make equally many tokens visible, `size` at most at a time."""
    for _, group in groupby(sorted(budgets, key=sum), key=sum):
        together = list(group)
        yield from (together[start : start + size] for start in range(0, len(together), size))


def _write_column(
    column: ShownModality, predictions: Tensor | None, *, num_samples: int, facts: DatasetSpec, folder: Path
) -> dict[str, Any]:
    targets, kind = column.targets(), modality(column.name).kind
    shown = [maps for maps in (targets, predictions) if maps is not None]
    sheets = []
    for number in range(num_samples):
        target = None if targets is None else targets[number]
        made = [] if predictions is None else list(predictions[:, number])
        near_far = depth_range(torch.stack(made) if target is None else target) if kind == "depth" else (0.0, 1.0)
        path = write_sheet(
            folder / str(number) / column.name, [target, *made], name=column.name, near_far=near_far, facts=facts
        )
        sheets.append({"file": path.relative_to(folder).as_posix(), "near_far": list(near_far)})
    return {
        "name": column.name,
        "kind": kind,
        "output": column.output,
        "known": targets is not None,
        "cell": list(column.size),
        "sheets": sheets,
        "classes": _legend(shown, code=label_code(column.name, spec=facts)) if kind == "labels" else [],
    }


def _legend(labels: Sequence[Tensor], *, code: LabelCode) -> list[dict[str, str]]:
    """Name the classes to be seen among the targets or the predictions and their colours, the most frequent first."""
    counts = torch.stack([torch.bincount(maps.flatten(), minlength=256)[: code.num_classes] for maps in labels])
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).amax(dim=0)
    order = shares.argsort(descending=True, stable=True).tolist()
    colours = {number: "#{:02x}{:02x}{:02x}".format(*code.palette[number]) for number in order}
    return [
        {"name": code.classes[number], "colour": colours[number]}
        for number in order
        if shares[number] >= MIN_SHARE_IN_LEGEND
    ]

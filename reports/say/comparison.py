"""Our numbers beside the published ones: a difference where everything matches, else what does not."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.published import Published, all_published
from multimae.tables.metrics import Metric
from reports.read.results import ReportedRun, SuiteResults, join_inputs, metric_of
from reports.say import words
from reports.say.tables import Cell, FrameRow, Setting, cell_of, split

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["data set", "size", "weights", "recipe", "images", "selection", "inference", "seeds"]
Standing = Literal["matches", "better", "worse", "open", "differs", "absent"]

OWN_METHOD, OWN_CHECKPOINT = "MultiMAE", "pretrain"
"""What a suite's own pre-training is, and its name."""
MAX_RECIPE_CHANGES = 2
# What a number does not depend on, or what is compared by itself: images, selection and inference stand in its row.
_NOT_COMPARED = (
    "micro_batch_size", "num_workers", "cache", "compile", "num_evaluations", "selection", "inference", "flip",
    "paper_num_images",
)  # fmt: skip
_WEIGHTS: Mapping[str, str] = MappingProxyType(
    {"last": "the last weights", "validation": "the best on validation", "test": "the best on the test set"}
)
_PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "tuning": "{} tuning, not {}",
        "epochs": "{} epochs, not {}",
        "input_size": "{} pixels, not {}",
        "batch_size": "batches of {}, not {}",
    }
)


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """One thing in which our run is not what was published, in words: `5 epochs, not 200`."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A published number and ours under the same protocol; `cell` is None where nothing comes close to it here.

    `checkpoint` is what ours started from.
    """

    published: Published
    checkpoint: str = ""
    cell: Cell | None = None
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def metric(self) -> Metric:
        return metric_of(self.published.metric)

    @property
    def standing(self) -> Standing:
        """Say how ours stands; "open": it would be comparable, but has no number or no interval yet."""
        if self.cell is None:
            return "absent"
        if self.mismatches:
            return "differs"
        ours, value = self.cell.summary, self.published.value
        if ours.n < 2:
            return "open"
        if ours.low <= value <= ours.high:
            return "matches"
        return "better" if (ours.mean > value) == self.metric.higher_is_better else "worse"

    @property
    def ours(self) -> str:
        """Write our number with its interval and its number of seeds, or why there is none."""
        if self.cell is None:
            return "—"
        number, label = self.cell.number(self.metric), words.checkpoint_label(self.checkpoint)
        return f"{label}: {number} ({self.cell.note})" if number else f"{label}: {self.cell.note}"

    @property
    def sentence(self) -> str:
        """Give the difference, or the reason why there is none."""
        if self.cell is None:
            return self._absence()
        if self.mismatches:
            return f"not comparable: {self._why()}"
        if not self.cell.summary.n:
            return "no number yet"
        difference = words.signed(self.cell.summary.mean - self.published.value, metric=self.metric)
        return {
            "open": f"{difference}; one seed has no interval, so no verdict",
            "matches": f"{difference}; matches: the published number lies within our 95 % interval",
            "better": f"{difference}; better, by more than our 95 % interval",
            "worse": f"{difference}; worse, by more than our 95 % interval",
        }[self.standing]

    def _absence(self) -> str:
        if self.published.checkpoint:
            return f"not run here: --checkpoints {self.published.checkpoint} runs it"
        return "not run here: its weights are not in the catalogue"

    def _why(self) -> str:
        """List what differs in the order of its weight, the recipe's changes cut short."""
        recipe = [found.text for found in self.mismatches if found.kind == "recipe"]
        more = len(recipe) - MAX_RECIPE_CHANGES
        told = recipe[:MAX_RECIPE_CHANGES] + (
            [f"{words.count(more, 'more setting')} of the recipe"] if more > 0 else []
        )
        before, after = (
            [found.text for found in self.mismatches if found.kind in kinds]
            for kinds in (("data set", "size", "weights"), ("images", "selection", "inference", "seeds"))
        )
        return "; ".join([*before, *told, *after])


def compare(results: SuiteResults, frame: "pd.DataFrame") -> tuple[Comparison, ...]:
    """Set what is published for the tasks and inputs of this suite beside its runs, in the plan's order."""
    transfers = dict.fromkeys((run.task, frozenset(run.inputs)) for run in results.runs)
    settings = split(frame)
    return tuple(
        _comparison(published, results=results, settings=settings)
        for task, inputs in transfers
        for published in all_published()
        if (published.task, frozenset(published.inputs)) == (task, inputs)
    )


def lead(comparisons: Sequence[Comparison]) -> str:
    """Sum up in two sentences: how many published numbers can be compared and how they stand, and why others cannot."""
    counts = Counter(found.standing for found in comparisons)
    comparable = sum(counts[standing] for standing in ("matches", "better", "worse", "open"))
    names: dict[Standing, str] = {
        "matches": "reached within our 95 % interval", "better": "exceeded", "worse": "not reached",
        "open": "without an interval yet",
    }  # fmt: skip
    how = ", ".join(f"{counts[standing]} {name}" for standing, name in names.items() if counts[standing])
    total = words.count(len(comparisons), "published number")
    first = f"{comparable} of {total} can be compared: {how}." if comparable else f"None of {total} can be compared."
    return f"{first} {_obstacles(comparisons)}".strip()


def sources(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Say where the published numbers stand and how they were measured, naming methods where that differs."""
    methods: dict[str, dict[str, None]] = {}
    for published in (found.published for found in comparisons):
        about = f"{published.source}: {published.note}" if published.note else published.source
        methods.setdefault(about, {})[published.method] = None
    several = len(methods) > 1
    return tuple(f"{', '.join(of)}: {about}" if several else about for about, of in methods.items())


def _obstacles(comparisons: Sequence[Comparison]) -> str:
    kinds = Counter(
        kind for found in comparisons for kind in dict.fromkeys(mismatch.kind for mismatch in found.mismatches)
    )
    told = [f"{kind} (in {times})" for kind, times in kinds.most_common()]
    absent = sum(found.standing == "absent" for found in comparisons)
    sentences = [f"What differs: {', '.join(told)}." if told else "", f"Not run here: {absent}." if absent else ""]
    return " ".join(sentence for sentence in sentences if sentence)


def _comparison(
    published: Published, *, results: SuiteResults, settings: Mapping[Setting, Sequence[FrameRow]]
) -> Comparison:
    runs = _counterparts(published, runs=results.runs)
    if not runs:
        return Comparison(published=published)
    first = runs[0]
    rows = settings.get(Setting(first.task, first.checkpoint, join_inputs(first.inputs)), [])
    cell = cell_of(rows, protocol=published.protocol, metric=published.metric)
    num_test = results.datasets.get(first.dataset, {}).get("num_test", 0)
    found = [
        mismatch for run in runs for mismatch in (*_setup(run, published), *_scored(run, published, num_test=num_test))
    ]
    if diverged := cell.summary.num_diverged:
        found.append(Mismatch(kind="seeds", text=f"{words.count(diverged, 'training')} diverged"))
    return Comparison(
        published=published, checkpoint=first.checkpoint, cell=cell, mismatches=tuple(dict.fromkeys(found))
    )


def _counterparts(published: Published, *, runs: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Return our runs from the very weights, else from the suite's own pre-training by the same method."""
    own = [OWN_CHECKPOINT] if published.method == OWN_METHOD else []
    measured = [run for run in runs if (run.task, set(run.inputs)) == (published.task, set(published.inputs))]
    for checkpoint in filter(None, [published.checkpoint, *own]):
        if found := [run for run in measured if run.checkpoint == checkpoint]:
            return found
    return []


def _setup(run: ReportedRun, published: Published) -> Iterator[Mismatch]:
    """Compare what was trained on what, from which weights."""
    if run.dataset != published.dataset:
        here, there = words.dataset_label(run.dataset), words.dataset_label(published.dataset)
        yield Mismatch(kind="data set", text=f"{here}, not {there}")
    if run.described.size != published.size:
        here, there = words.size_label(run.described.size), words.size_label(published.size)
        yield Mismatch(kind="size", text=f"{here}, not {there}")
    if run.checkpoint != published.checkpoint:
        yield Mismatch(kind="weights", text=f"own pre-training, not {published.checkpoint}")
    changes = list(_changes(run, published))
    yield from changes
    if run.described.profile != "paper" and not changes:
        yield Mismatch(kind="recipe", text=f"profile {run.described.profile or 'unknown'}, not paper")


def _changes(run: ReportedRun, published: Published) -> Iterator[Mismatch]:
    """List where a run's settings leave the task's `paper` recipe, what readers ask for first at the front."""
    if not run.settings:
        yield Mismatch(kind="recipe", text="settings not recorded")
        return
    recipe = published.reproduced.recipes["paper"]
    defaults = {field.name: field.default for field in fields(recipe) if field.name not in _NOT_COMPARED}
    for name in sorted(defaults, key=lambda name: list(_PHRASES).index(name) if name in _PHRASES else len(_PHRASES)):
        here, there = run.settings.get(f"recipe.{name}", _plain(defaults[name])), _plain(getattr(recipe, name))
        if here != there:
            phrase = _PHRASES.get(name, f"{name} {{}}, not {{}}")
            yield Mismatch(kind="recipe", text=phrase.format(_said(here), _said(there)))
    for name, there in (("head", published.reproduced.head), ("loss", published.reproduced.loss)):
        if run.settings.get(name, there) != there:
            yield Mismatch(kind="recipe", text=f"{name} {run.settings[name]}, not {there}")


def _scored(run: ReportedRun, published: Published, *, num_test: int) -> Iterator[Mismatch]:
    """Compare how the published protocol was carried out: on which images, with which weights, shown how."""
    rows = [row for row in (run.result.rows if run.result else ()) if row.protocol == published.protocol]
    wanted = published.num_images or num_test
    for row in rows:
        if row.split != "test":
            yield Mismatch(kind="images", text=f"scored on the {row.split} split, not on test images")
        elif run.dataset == published.dataset and wanted and row.n != wanted:
            remedy = f" ({run.task}.paper_num_images={wanted})" if 0 < wanted < num_test else ""
            yield Mismatch(kind="images", text=f"{row.n} test images, not {wanted}{remedy}")
        if published.selection and row.selection != published.selection:
            text = f"{_WEIGHTS[row.selection]}, not {_WEIGHTS[published.selection]}"
            yield Mismatch(kind="selection", text=f"{text} (recipe.selection={published.selection})")
    if published.protocol == "standard":
        for name, plain in (("inference", "whole"), ("flip", "none")):
            if (chosen := run.settings.get(f"recipe.{name}", plain)) != plain:
                yield Mismatch(kind="inference", text=f"{name} {chosen}, not {plain}")


def _plain(value: Any) -> Any:
    """Write a tuple as run.json gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"

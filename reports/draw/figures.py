"""Figures as inline SVG: learning curves (a thin line per seed, their mean on top) and small interval plots."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from multimae.record.events import Curve
from reports.draw.svg import svg_of

MAX_POINTS = 120
FULL_WIDTH = 11.2
"""Inches, at which text has the size of the page's small print."""
COLOURS: Mapping[str, str] = MappingProxyType(
    {"pretrain": "#0b62a4", "scratch": "#c8590c", "train": "#0b62a4", "val": "#c8590c"}
)
_FALLBACK_COLOURS = ("#0b62a4", "#2f7d4f", "#7b4fa3", "#8a6d1d")
LEVEL_COLOUR, LEVEL_DASHES = "#6b7580", (0, (4, 3))
_STYLE = Path(__file__).parents[1] / "html" / "curves.mplstyle"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve; lines of one `group` share a colour. `name` shows when the pointer rests on it.

    A group's mean is taken over its whole lines, or over all while none is whole.
    """

    group: str
    name: str
    curve: Curve
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Lines over steps. `level` is a constant predictor's value, NaN for none."""

    title: str
    ylabel: str
    lines: tuple[Line, ...]
    level: float = math.nan

    @property
    def begun(self) -> bool:
        """Whether any of its lines has a point."""
        return any(line.curve.steps for line in self.lines)


def draw(
    panels: Sequence[Sequence[Panel]], *, labels: Mapping[str, str], shared_axis: Literal["row", "none"] = "row"
) -> str:
    """Draw a grid of panels as an SVG element; `labels` maps group to legend text.

    `shared_axis` "row": all panels of a row have one vertical scale. The last row may be shorter than the others.
    """
    num_rows, num_columns = len(panels), len(panels[0])
    with mpl.rc_context(fname=_STYLE):
        size = (min(3.7 * max(num_columns, 2), FULL_WIDTH), 2.3 * num_rows + 0.4)
        figure = Figure(figsize=size)
        # Margins in inches by hand: automatic layout takes as long as drawing.
        figure.subplots_adjust(
            left=0.55 / size[0], right=1 - 0.08 / size[0], bottom=0.42 / size[1], top=1 - 0.55 / size[1],
            wspace=0.1 if shared_axis == "row" else 0.26, hspace=0.2 if shared_axis == "row" else 0.5,
        )  # fmt: skip
        grid = figure.subplots(num_rows, num_columns, sharey="row" if shared_axis == "row" else False, squeeze=False)
        titles: dict[str, str] = {}
        for axes_row, panel_row in zip(grid, panels, strict=True):
            for axes, panel in zip(axes_row, panel_row, strict=False):
                titles |= _draw_panel(axes, panel=panel, prefix=f"line{len(titles)}")
                axes.set_xlabel("step")
                if shared_axis == "row":
                    axes.label_outer(remove_inner_ticks=True)
            for axes in axes_row[len(panel_row) :]:
                axes.set_visible(False)
            if not any(panel.begun for panel in panel_row):
                for axes in axes_row:
                    axes.set_yticks([])
        _legend(figure, panels=panels, labels=labels)
        text = svg_of(figure)
    return _inline(text, titles=titles)


def interval(low: float, mean: float, high: float, *, reach: float, verdict: str) -> str:
    """Draw one difference as a dot with its interval around zero; `reach` is where the axis ends on either side.

    What lies beyond the axis is cut off and ends in an arrow head.
    """
    if not math.isfinite(mean):
        return ""
    width, middle = 200.0, 9.0

    def across(value: float) -> float:
        return width / 2 + max(-1.0, min(1.0, value / reach)) * (width / 2 - 8)

    parts = [f'<line class="zero" x1="{width / 2}" x2="{width / 2}" y1="0" y2="18"/>']
    if math.isfinite(low):
        parts.append(
            f'<line class="range" x1="{across(low):.1f}" x2="{across(high):.1f}" y1="{middle}" y2="{middle}"/>'
        )
        parts += [_end(across(end), sign=math.copysign(1, end), cut=abs(end) > reach) for end in (low, high)]
    parts.append(f'<circle cx="{across(mean):.1f}" cy="{middle}" r="4.5"/>')
    return f'<svg class="interval {verdict}" viewBox="0 0 {width:.0f} 18" role="img">{"".join(parts)}</svg>'


def _end(x: float, *, sign: float, cut: bool) -> str:
    if cut:
        return f'<path class="range" fill="none" d="M{x - 5 * sign:.1f} 5 L{x:.1f} 9 L{x - 5 * sign:.1f} 13"/>'
    return f'<line class="range" x1="{x:.1f}" x2="{x:.1f}" y1="5.5" y2="12.5"/>'


def thinned(curve: Curve) -> Curve:
    """Average neighbours of a finite curve into at most MAX_POINTS points."""
    steps, values = _finite(curve)
    if steps.size <= MAX_POINTS:
        return Curve(steps=tuple(steps.tolist()), values=tuple(values.tolist()))
    parts = np.array_split(np.arange(steps.size), MAX_POINTS)
    return Curve(
        steps=tuple(int(steps[part].mean()) for part in parts),
        values=tuple(float(values[part].mean()) for part in parts),
    )


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Average several curves over the steps that all of them cover, between points by straight lines."""
    arrays = [_finite(curve) for curve in curves if curve.steps]
    arrays = [(steps, values) for steps, values in arrays if steps.size]
    if not arrays:
        return Curve(steps=(), values=())
    first, last = max(steps[0] for steps, _ in arrays), min(steps[-1] for steps, _ in arrays)
    grid = np.unique(np.concatenate([steps[(steps >= first) & (steps <= last)] for steps, _ in arrays]))
    means = np.mean([np.interp(grid, steps, values) for steps, values in arrays], axis=0) if grid.size else grid
    return Curve(steps=tuple(grid.tolist()), values=tuple(np.asarray(means, dtype=float).tolist()))


def _draw_panel(axes: Axes, *, panel: Panel, prefix: str) -> dict[str, str]:
    """Draw, and return the hover title of each line's id."""
    axes.set_title(panel.title)
    axes.set_ylabel(panel.ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.02)
    titles: dict[str, str] = {}
    for group, lines in _by_group(panel.lines).items():
        titles |= _draw_group(axes, lines=lines, colour=_colour(group), prefix=f"{prefix}-{group}")
    if math.isfinite(panel.level):
        axes.axhline(panel.level, color=LEVEL_COLOUR, linewidth=1, linestyle=LEVEL_DASHES)
    if not panel.begun:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing yet", transform=axes.transAxes, ha="center", va="center", color=LEVEL_COLOUR)
    return titles


def _draw_group(axes: Axes, *, lines: Sequence[Line], colour: str, prefix: str) -> dict[str, str]:
    curves = [thinned(line.curve) for line in lines]
    width, alpha = (2.0, 1.0) if len(lines) == 1 else (0.9, 0.4)
    titles: dict[str, str] = {}
    for number, (line, curve) in enumerate(zip(lines, curves, strict=True)):
        name = f"{prefix}-{number}"
        # A single point has no length: without a marker it would not show.
        marker = "o" if len(curve.steps) == 1 else ""
        axes.plot(
            curve.steps, curve.values, color=colour, linewidth=width, alpha=alpha, marker=marker, markersize=4, gid=name
        )
        titles[name] = f"{line.name}: {curve.values[-1]:.4g} at step {curve.steps[-1]}" if curve.steps else line.name
    if len(lines) > 1:
        whole = [curve for line, curve in zip(lines, curves, strict=True) if line.whole]
        mean = mean_curve(whole or curves)
        axes.plot(mean.steps, mean.values, color=colour, linewidth=2.2)
    return titles


def _legend(figure: Figure, *, panels: Sequence[Sequence[Panel]], labels: Mapping[str, str]) -> None:
    everything = [panel for row in panels for panel in row]
    groups = dict.fromkeys(line.group for panel in everything for line in panel.lines)
    handles = [mpl.lines.Line2D([], [], color=_colour(group), linewidth=2.2) for group in groups]
    texts = [labels.get(group, group) for group in groups]
    if any(math.isfinite(panel.level) for panel in everything):
        handles.append(mpl.lines.Line2D([], [], color=LEVEL_COLOUR, linewidth=1, linestyle=LEVEL_DASHES))
        texts.append("constant predictor, test")
    figure.legend(
        handles,
        texts,
        loc="upper left",
        bbox_to_anchor=(0.005, 1),
        ncols=4,
        frameon=False,
        borderpad=0,
        handlelength=1.6,
    )


def _by_group(lines: Sequence[Line]) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.group, []).append(line)
    return groups


def _colour(group: str) -> str:
    return COLOURS.get(group, _FALLBACK_COLOURS[sum(map(ord, group)) % len(_FALLBACK_COLOURS)])


def _finite(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    steps, values = np.asarray(curve.steps, dtype=float), np.asarray(curve.values, dtype=float)
    keep = np.isfinite(values)
    return steps[keep].astype(int), values[keep]


def _inline(svg: str, *, titles: Mapping[str, str]) -> str:
    """Strip what only a stand-alone file needs (namespaces, metadata, ids of groups), and add hover titles."""
    root = ET.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    for child in list(root):
        if child.tag == "metadata":
            root.remove(child)
    for group in root.iter("g"):
        if title := titles.get(group.attrib.pop("id", "")):
            ET.SubElement(group, "title").text = title
    width = root.attrib.pop("width").removesuffix("pt")
    root.attrib.pop("height")
    root.set("style", f"max-width:{math.ceil(float(width) * 4 / 3)}px")
    root.set("class", "curves")
    return ET.tostring(root, encoding="unicode")

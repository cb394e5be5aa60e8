"""What a person sees of a driver: a live table on a terminal, a line per change elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.box import HEAVY_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.drive.shortening import shortened
from multimae.console import PlainConsole
from multimae.record.state import RunState
from multimae.record.text import one_line

STYLES = {
    "finished": "green",
    "running": "cyan",
    "failed": "red",
    "diverged": "red",
    "blocked": "red",
    "vanished": "yellow",
}
ORDER = ("failed", "diverged", "blocked", "vanished", "preempted", "running", "queued", "new", "finished")
"""What is shown first; anything else comes before all of it."""
MAX_ROWS = 30
COLUMNS = ("status", "step", "loss", "images/s", "ETA")
NARROW = ("status", "step", "loss", "ETA")
NARROWEST = ("state", "step", "loss", "ETA")
ROOM_FOR_NAMES = 24
LEAST_NAME = 8


class Screen:
    """Show states for as long as it is entered."""

    def __init__(self, console: PlainConsole, *, title: str) -> None:
        self._console = console
        self._title = title
        self._seen: dict[str, str] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, states: Mapping[str, RunState]) -> None:
        """Bring the screen up to date."""
        if self._live:
            self._live.update(live_table(states, title=self._title, width=self._console.width), refresh=True)
        else:
            print_changes(states, seen=self._seen, console=self._console)


def print_changes(states: Mapping[str, RunState], *, seen: dict[str, str], console: PlainConsole) -> None:
    """Say in a line each what changed since the last look, for logs and pipes."""
    for key, state in states.items():
        if seen.get(key, "new") != state.status:
            note = f" ({one_line(state.message)})" if state.message else ""
            log_to(console)(f"{key}: {state.status}{note}")
        seen[key] = state.status


def print_lost(states: Mapping[str, RunState], *, console: PlainConsole) -> bool:
    """Name the runs that have not finished and why; say whether there are any."""
    lost = {key: state for key, state in states.items() if state.status != "finished"}
    for key, state in lost.items():
        how = f"{state.status} ({state.kind})" if state.text != state.status else state.status
        say(": ".join(part for part in (key, how, one_line(state.message)) if part), console=console)
    return bool(lost)


def log_to(console: PlainConsole) -> Callable[[str], None]:
    """Return what says an event in a line, with the time; above the live table where there is one."""
    return lambda words: say(f"{time.strftime('%H:%M:%S')} {words}", console=console)


def say(words: str, *, console: PlainConsole) -> None:
    """Print words that may hold anything, such as a job's message: as they are, on one line."""
    console.print(words, soft_wrap=True)


def live_table(states: Mapping[str, RunState], *, title: str, width: int) -> Group:
    """Draw the runs that move and the failures in full, and count the rest.

    Where there is little room, names are shortened and frames and speeds left out: step, loss and ETA stay.
    """
    shown = sorted(states.items(), key=lambda item: _rank(item[1].status))[:MAX_ROWS]
    cells = [_cells(state) for _, state in shown]
    layout = _layout(shown, cells=cells, width=width)
    table = Table(title=title, box=HEAVY_HEAD if layout.framed else None, padding=(0, 1))
    for column in ("run", *layout.columns):
        table.add_column(column, justify="left" if column in ("run", "status", "state") else "right", no_wrap=True)
    names = shortened([key for key, _ in shown], width=layout.name_width)
    for (_, state), name, row in zip(shown, names, cells, strict=True):
        status = Text(row[layout.columns[0]], style=STYLES.get(state.status, ""))
        table.add_row(name, status, *(row[column] for column in layout.columns[1:]))
    return Group(table, Text(f"{summary(states)}   Ctrl-C detaches; the same command comes back."))


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Which columns a table has beside the names, whether it has a frame, and how wide the names may be."""

    columns: tuple[str, ...]
    framed: bool
    name_width: int


def _layout(shown: Sequence[tuple[str, RunState]], *, cells: Sequence[Mapping[str, str]], width: int) -> _Layout:
    """Choose the richest layout that leaves names enough room, else the plainest."""
    longest = max((len(key) for key, _ in shown), default=0)
    for columns, framed, enough in (
        (COLUMNS, True, longest),
        (NARROW, True, min(longest, ROOM_FOR_NAMES)),
        (NARROW, False, min(longest, ROOM_FOR_NAMES)),
        (NARROWEST, False, 0),
    ):
        widths = [max([len(column), *(len(row[column]) for row in cells)]) for column in columns]
        around = 3 * (len(columns) + 1) + 1 if framed else 2 * (len(columns) + 1)
        layout = _Layout(columns=columns, framed=framed, name_width=width - sum(widths) - around)
        if layout.name_width >= enough:
            break
    return replace(layout, name_width=max(layout.name_width, LEAST_NAME))


def _cells(state: RunState) -> dict[str, str]:
    """Write a state's cells by column."""
    progress = state.progress if state.status == "running" else None
    return {
        "status": state.text,
        "state": state.status,
        "step": f"{progress.step}/{progress.max_steps}" if progress else "",
        "loss": _number(progress.loss, ".3f") if progress else "",
        "images/s": _number(progress.images_per_s, ".0f") if progress else "",
        "ETA": duration(progress.eta_s) if progress else "",
    }


def summary(states: Mapping[str, RunState]) -> str:
    """Count runs by status: `3 running, 4 queued, 18 finished`."""
    counts = Counter(state.status for state in states.values())
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items(), key=lambda item: _rank(item[0])))


def duration(seconds: float | None) -> str:
    """Write seconds as 45 s, 3 min or 2 h 05."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d}"


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else 0


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)

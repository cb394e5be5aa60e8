"""What a person sees of a driver: a live table on a terminal, a line per change elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from multimae.record.state import RunState

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


class Screen:
    """Show states for as long as it is entered."""

    def __init__(self, console: Console, *, title: str) -> None:
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
            self._live.update(live_table(states, title=self._title), refresh=True)
        else:
            print_changes(states, seen=self._seen, console=self._console)


def print_changes(states: Mapping[str, RunState], *, seen: dict[str, str], console: Console) -> None:
    """Say in a line each what changed since the last look, for logs and pipes."""
    for key, state in states.items():
        if seen.get(key, "new") != state.status:
            note = f" ({state.message})" if state.message else ""
            say(f"{time.strftime('%H:%M:%S')} {key}: {state.status}{note}", console=console)
        seen[key] = state.status


def print_lost(states: Mapping[str, RunState], *, console: Console) -> bool:
    """Name the runs that have not finished and why; say whether there are any."""
    lost = {key: state for key, state in states.items() if state.status != "finished"}
    for key, state in lost.items():
        how = f"{state.status} ({state.kind})" if state.text != state.status else state.status
        say(": ".join(part for part in (key, how, state.message) if part), console=console)
    return bool(lost)


def say(words: str, *, console: Console) -> None:
    """Print words that may hold anything, such as a job's message: as they are, on one line."""
    console.print(words, highlight=False, soft_wrap=True, markup=False)


def live_table(states: Mapping[str, RunState], *, title: str) -> Group:
    """Draw the runs that move and the failures in full, and count the rest."""
    table = Table(title=title, expand=False)
    for column in ("run", "status", "step", "loss", "images/s", "ETA"):
        table.add_column(column, justify="left" if column in ("run", "status") else "right", no_wrap=True)
    shown = sorted(states.items(), key=lambda item: _rank(item[1].status))[:MAX_ROWS]
    for key, state in shown:
        progress = state.progress
        known = progress is not None and state.status == "running"
        table.add_row(
            key,
            Text(state.text, style=STYLES.get(state.status, "")),
            f"{progress.step}/{progress.max_steps}" if known and progress else "",
            _number(progress.loss, ".3f") if known and progress else "",
            _number(progress.images_per_s, ".0f") if known and progress else "",
            duration(progress.eta_s) if known and progress else "",
        )
    return Group(table, Text(f"{summary(states)}   Ctrl-C detaches; the same command comes back."))


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

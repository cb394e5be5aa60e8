"""The one way to rich's console: text is text in it, never markup, emoji or an escape sequence."""

from typing import Any, Literal

import rich.console
from rich.progress import TextColumn
from rich.text import Text

from multimae.record.text import printable


class PlainConsole(rich.console.Console):
    """Show strings as they are, in lines and in the cells and titles of tables."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into rich's text, its control characters spelt out."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leave a reader that has gone to the command, as `print` does."""
        raise BrokenPipeError


def plain_console(stream: Literal["out", "err"] = "out", *, width: int | None = None) -> PlainConsole:
    """Return a console that takes no string for anything but text."""
    return PlainConsole(stderr=stream == "err", width=width, markup=False, emoji=False, highlight=False)


def description() -> TextColumn:
    """Return a progress bar's column with what the task says of itself."""
    return TextColumn("{task.description}", markup=False)


def label(text: str) -> TextColumn:
    """Return a progress bar's column with a fixed text."""
    return TextColumn(printable(text).replace("{", "{{").replace("}", "}}"), markup=False)

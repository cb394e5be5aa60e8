"""The HTML templates, and what all of them may use."""

from pathlib import Path
from typing import TYPE_CHECKING

from reports.say import words

if TYPE_CHECKING:
    from jinja2 import Environment

HTML = Path(__file__).parents[1] / "html"


def environment() -> "Environment":
    """Return the templates of `html/`, strict about names; `include_text` puts a style sheet or a script in a page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HTML), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals |= {"words": words, "include_text": lambda name: (HTML / name).read_text("utf-8")}
    return made
